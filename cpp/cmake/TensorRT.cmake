# Adds native TensorRT engines to the objects of libmghft.
if(NOT MGHFT_TENSORRT)
  summary_add("TensorRT engines" "left out: MGHFT_TENSORRT is off")
  return()
endif()
find_package(TensorRT 10.3 QUIET)
if(NOT TensorRT_FOUND)
  message(FATAL_ERROR "MGHFT_TENSORRT is on, and TensorRT 10.3 or later was not found; give -DTensorRT_ROOT=FOLDER")
elseif(NOT mghft_has_cuda)
  message(FATAL_ERROR "MGHFT_TENSORRT is on, and engines need CUDA, which was left out; put nvcc on PATH")
endif()
target_sources(mghft_objects PRIVATE
  tensorrt/trt_branches.cpp tensorrt/trt_log.cpp tensorrt/trt_runs.cpp tensorrt/trt_session.cpp)
target_include_directories(mghft_objects PUBLIC cuda tensorrt)
target_compile_definitions(mghft_objects PUBLIC MGHFT_TENSORRT)
# libmghft contains the kernel, so programs that link to an installed libmghft do not depend on it.
list(APPEND private_libraries $<BUILD_INTERFACE:mghft_cuda> TensorRT::nvinfer CUDA::cudart_static)
target_link_libraries(mghft_objects PUBLIC mghft_cuda TensorRT::nvinfer CUDA::cudart_static)
summary_add("TensorRT engines" "built with TensorRT ${TensorRT_VERSION}")
