# Finds TensorRT's headers and library, and makes the target TensorRT::nvinfer. TensorRT_ROOT is the folder of an
# unpacked archive of TensorRT. JetPack and NVIDIA's Debian packages are found without it.
find_path(TensorRT_INCLUDE_DIR NvInfer.h HINTS ${TensorRT_ROOT} ENV TensorRT_ROOT PATH_SUFFIXES include)
find_library(TensorRT_LIBRARY nvinfer HINTS ${TensorRT_ROOT} ENV TensorRT_ROOT PATH_SUFFIXES lib lib64)

if(TensorRT_INCLUDE_DIR AND EXISTS ${TensorRT_INCLUDE_DIR}/NvInferVersion.h)
  foreach(part MAJOR MINOR PATCH)
    file(STRINGS ${TensorRT_INCLUDE_DIR}/NvInferVersion.h line REGEX "#define (NV_TENSORRT|TRT)_${part}(_ENTERPRISE)? +[0-9]+")
    string(REGEX MATCH "[0-9]+" ${part} "${line}")
  endforeach()
  set(TensorRT_VERSION ${MAJOR}.${MINOR}.${PATCH})
endif()

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(TensorRT REQUIRED_VARS TensorRT_LIBRARY TensorRT_INCLUDE_DIR VERSION_VAR TensorRT_VERSION)

if(TensorRT_FOUND AND NOT TARGET TensorRT::nvinfer)
  add_library(TensorRT::nvinfer UNKNOWN IMPORTED)
  set_target_properties(TensorRT::nvinfer PROPERTIES
    IMPORTED_LOCATION ${TensorRT_LIBRARY} INTERFACE_INCLUDE_DIRECTORIES ${TensorRT_INCLUDE_DIR})
endif()
mark_as_advanced(TensorRT_INCLUDE_DIR TensorRT_LIBRARY)
