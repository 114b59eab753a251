# The two parts of OpenCV that decode images: OpenCVImages::OpenCVImages.
#
# OpenCV's own package file comes with all of OpenCV (Debian: libopencv-dev, some hundred packages); these two come with
# libopencv-imgcodecs-dev.
find_path(OpenCV_INCLUDE_DIR opencv2/imgcodecs.hpp PATH_SUFFIXES opencv4)
find_library(OpenCV_CORE_LIBRARY opencv_core)
find_library(OpenCV_IMGCODECS_LIBRARY opencv_imgcodecs)

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(OpenCVImages
  REQUIRED_VARS OpenCV_IMGCODECS_LIBRARY OpenCV_CORE_LIBRARY OpenCV_INCLUDE_DIR
  REASON_FAILURE_MESSAGE "install libopencv-imgcodecs-dev")

if(OpenCVImages_FOUND AND NOT TARGET OpenCVImages::OpenCVImages)
  add_library(OpenCVImages::OpenCVImages INTERFACE IMPORTED)
  set_target_properties(OpenCVImages::OpenCVImages PROPERTIES
    INTERFACE_LINK_LIBRARIES "${OpenCV_IMGCODECS_LIBRARY};${OpenCV_CORE_LIBRARY}"
    INTERFACE_INCLUDE_DIRECTORIES "${OpenCV_INCLUDE_DIR}")
endif()
mark_as_advanced(OpenCV_INCLUDE_DIR OpenCV_CORE_LIBRARY OpenCV_IMGCODECS_LIBRARY)
