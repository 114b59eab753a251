# Finds ONNX Runtime's C++ headers and shared library, and makes the target ONNXRuntime::ONNXRuntime.
#
# Headers and library may be in different places:
#   ONNXRUNTIME_ROOT         a release archive, or the folder of the Python package (site-packages/onnxruntime); the
#                            package has a library and no headers
#   ONNXRUNTIME_INCLUDE_DIR  the folder with onnxruntime_cxx_api.h, for example from cpp/get_onnxruntime_headers.sh
# Without them the system's ONNX Runtime is used (Debian: libonnxruntime-dev).
set(ONNXRUNTIME_ROOT "" CACHE PATH "A release archive or the Python package of ONNX Runtime")

find_path(ONNXRUNTIME_INCLUDE_DIR onnxruntime_cxx_api.h
  HINTS ${ONNXRUNTIME_ROOT} ${CMAKE_SOURCE_DIR}/build/onnxruntime-headers
  PATH_SUFFIXES include include/onnxruntime include/onnxruntime/core/session usr/include/onnxruntime)

find_library(ONNXRUNTIME_LIBRARY onnxruntime HINTS ${ONNXRUNTIME_ROOT} PATH_SUFFIXES lib lib64 capi)
if(NOT ONNXRUNTIME_LIBRARY AND ONNXRUNTIME_ROOT)
  # The Python package has the library only under its full name, for example libonnxruntime.so.1.20.1, but the loader
  # looks for libonnxruntime.so.1. So a link gets this name. ONNX Runtime looks for its providers in the same folder, so
  # they are linked there, too.
  file(GLOB found ${ONNXRUNTIME_ROOT}/capi/libonnxruntime.so.*)
  if(found)
    set(links ${CMAKE_BINARY_DIR}/onnxruntime)
    file(MAKE_DIRECTORY ${links})
    list(GET found 0 library)
    string(REGEX MATCH "\\.so\\.[0-9]+" suffix ${library})
    file(CREATE_LINK ${library} ${links}/libonnxruntime${suffix} SYMBOLIC)
    file(GLOB providers ${ONNXRUNTIME_ROOT}/capi/libonnxruntime_providers_*.so)
    foreach(provider IN LISTS providers)
      get_filename_component(name ${provider} NAME)
      file(CREATE_LINK ${provider} ${links}/${name} SYMBOLIC)
    endforeach()
    set(ONNXRUNTIME_LIBRARY ${links}/libonnxruntime${suffix} CACHE FILEPATH "ONNX Runtime's shared library" FORCE)
  endif()
endif()

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(ONNXRuntime
  REQUIRED_VARS ONNXRUNTIME_LIBRARY ONNXRUNTIME_INCLUDE_DIR
  REASON_FAILURE_MESSAGE "install libonnxruntime-dev, or give -DONNXRUNTIME_ROOT and run cpp/get_onnxruntime_headers.sh")

if(ONNXRuntime_FOUND AND NOT TARGET ONNXRuntime::ONNXRuntime)
  add_library(ONNXRuntime::ONNXRuntime SHARED IMPORTED)
  set_target_properties(ONNXRuntime::ONNXRuntime PROPERTIES
    IMPORTED_LOCATION ${ONNXRUNTIME_LIBRARY}
    INTERFACE_SYSTEM_INCLUDE_DIRECTORIES ${ONNXRUNTIME_INCLUDE_DIR}
    INTERFACE_INCLUDE_DIRECTORIES ${ONNXRUNTIME_INCLUDE_DIR})
endif()
mark_as_advanced(ONNXRUNTIME_INCLUDE_DIR ONNXRUNTIME_LIBRARY)
