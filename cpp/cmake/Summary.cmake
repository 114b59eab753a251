# Prints at the end of the configuration what is built and what is left out.
set_property(GLOBAL PROPERTY mghft_summary "")

function(summary_add part state)
  set_property(GLOBAL APPEND PROPERTY mghft_summary "${part}: ${state}")
endfunction()

function(summary_print)
  get_property(lines GLOBAL PROPERTY mghft_summary)
  message(STATUS "")
  message(STATUS "mghft ${PROJECT_VERSION}")
  foreach(line IN LISTS lines)
    message(STATUS "  ${line}")
  endforeach()
  message(STATUS "")
endfunction()
