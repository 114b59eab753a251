# Installs the library, the program, the headers, and the files that find_package(mghft) reads.
set_target_properties(mghft PROPERTIES INSTALL_RPATH "$ORIGIN")
install(TARGETS mghft EXPORT mghftTargets
  LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}
  ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
if(TARGET mghft-run)
  set_target_properties(mghft-run PROPERTIES INSTALL_RPATH "$ORIGIN/../${CMAKE_INSTALL_LIBDIR}")
  install(TARGETS mghft-run DESTINATION ${CMAKE_INSTALL_BINDIR})
endif()
install(DIRECTORY include/mghft DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})

# If the loader does not find ONNX Runtime's library by itself, the library is installed beside libmghft. It gets the
# name that libmghft asks for: libonnxruntime.so.1 for libonnxruntime.so.1.20.1, whatever link it was found by.
#
# ONNX Runtime looks for its GPU providers beside that library. They take hundreds of megabytes, so they are only
# installed on request: cmake --install BUILD --component providers
if(ONNXRUNTIME_ROOT)
  get_filename_component(library ${ONNXRUNTIME_LIBRARY} REALPATH)
  get_filename_component(name ${library} NAME)
  string(REGEX REPLACE "(\\.so\\.[0-9]+).*" "\\1" name ${name})
  install(FILES ${library} DESTINATION ${CMAKE_INSTALL_LIBDIR} RENAME ${name})
  get_filename_component(folder ${library} DIRECTORY)
  file(GLOB providers ${folder}/libonnxruntime_providers_*.so)
  if(providers)
    install(FILES ${providers} DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT providers EXCLUDE_FROM_ALL)
  endif()
endif()

# OpenVINO looks for its CPU plugin and its ONNX reader beside its library, so all are installed in one folder.
if(openvino_library)
  get_filename_component(folder ${openvino_library} DIRECTORY)
  if(NOT folder IN_LIST CMAKE_CXX_IMPLICIT_LINK_DIRECTORIES)
    file(GLOB needed ${folder}/libopenvino.so.* ${folder}/libopenvino_*_cpu_plugin.so
      ${folder}/libopenvino_onnx_frontend.so.* ${folder}/libtbb.so.*)
    install(FILES ${needed} DESTINATION ${CMAKE_INSTALL_LIBDIR})
  endif()
endif()

if(BUILD_SHARED_LIBS)
  set(package ${CMAKE_INSTALL_LIBDIR}/cmake/mghft)
  install(EXPORT mghftTargets NAMESPACE mghft:: DESTINATION ${package})
  write_basic_package_version_file(${CMAKE_CURRENT_BINARY_DIR}/mghftConfigVersion.cmake COMPATIBILITY SameMajorVersion)
  file(WRITE ${CMAKE_CURRENT_BINARY_DIR}/mghftConfig.cmake
    "include(\${CMAKE_CURRENT_LIST_DIR}/mghftTargets.cmake)\n")
  install(FILES ${CMAKE_CURRENT_BINARY_DIR}/mghftConfig.cmake ${CMAKE_CURRENT_BINARY_DIR}/mghftConfigVersion.cmake
    DESTINATION ${package})
else()
  summary_add("find_package(mghft)" "left out: BUILD_SHARED_LIBS is off, and a static library would need its dependencies")
endif()
