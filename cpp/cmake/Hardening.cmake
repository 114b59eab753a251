# Makes bugs in parsers hard to exploit, because images and bundles come from strangers.
include(CheckPIESupported)
check_pie_supported()

# Sets hardening flags on an interface target. Builds with sanitizers or fuzzers do without: those find bugs themselves.
function(harden target)
  target_compile_options(${target} INTERFACE -fstack-protector-strong)
  target_compile_definitions(${target} INTERFACE _GLIBCXX_ASSERTIONS)
  # FORTIFY_SOURCE needs optimisation.
  target_compile_options(${target} INTERFACE $<$<CONFIG:Release,RelWithDebInfo,MinSizeRel>:-U_FORTIFY_SOURCE>)
  target_compile_definitions(${target} INTERFACE $<$<CONFIG:Release,RelWithDebInfo,MinSizeRel>:_FORTIFY_SOURCE=2>)
  target_link_options(${target} INTERFACE -Wl,-z,relro -Wl,-z,now -Wl,-z,noexecstack)
endfunction()
