# Cross-builds on a workstation for a Jetson with JetPack 6 (Ubuntu 22.04, aarch64). Not run on a device.
#
#   cmake -S . -B build/jetson -DCMAKE_TOOLCHAIN_FILE=cpp/cmake/jetson-toolchain.cmake -DMGHFT_SYSROOT=/opt/jetson-rootfs \
#     -DMGHFT_TENSORRT=ON -DMGHFT_CUDA_ARCHITECTURES=87 -DONNXRUNTIME_ROOT=/opt/onnxruntime-aarch64
#
# The sysroot is the root file system of a Jetson (NVIDIA's Linux_for_Tegra/rootfs, or `rsync -a --exclude=/proc jetson:/`)
# with the packages that docs/cpp.md lists. The compiler is Ubuntu's g++-aarch64-linux-gnu. nvcc also needs NVIDIA's
# cuda-cross-aarch64.
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(MGHFT_SYSROOT "$ENV{MGHFT_SYSROOT}" CACHE PATH "Root file system of the Jetson")
list(APPEND CMAKE_TRY_COMPILE_PLATFORM_VARIABLES MGHFT_SYSROOT)
if(NOT IS_DIRECTORY "${MGHFT_SYSROOT}")
  message(FATAL_ERROR "give the Jetson's root file system with -DMGHFT_SYSROOT=FOLDER")
endif()
# The search for nvcc starts another CMake. It reads this file, but does not get the variables of this one.
set(ENV{MGHFT_SYSROOT} ${MGHFT_SYSROOT})

set(triple aarch64-linux-gnu)
set(CMAKE_C_COMPILER ${triple}-gcc)
set(CMAKE_CXX_COMPILER ${triple}-g++)
set(CMAKE_CUDA_HOST_COMPILER ${CMAKE_CXX_COMPILER})
set(CMAKE_LIBRARY_ARCHITECTURE ${triple})
set(CMAKE_SYSROOT ${MGHFT_SYSROOT})
set(CUDAToolkit_ROOT ${MGHFT_SYSROOT}/usr/local/cuda)

# Use the workstation's programs, and the Jetson's libraries and headers.
set(CMAKE_FIND_ROOT_PATH ${MGHFT_SYSROOT})
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY BOTH)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE BOTH)
set(CMAKE_FIND_ROOT_PATH_MODE_PACKAGE BOTH)
set(ENV{PKG_CONFIG_SYSROOT_DIR} ${MGHFT_SYSROOT})
set(ENV{PKG_CONFIG_LIBDIR} ${MGHFT_SYSROOT}/usr/lib/${triple}/pkgconfig:${MGHFT_SYSROOT}/usr/share/pkgconfig)

# Let the linker find shared libraries that the sysroot's libraries need.
set(CMAKE_EXE_LINKER_FLAGS_INIT "-Wl,-rpath-link,${MGHFT_SYSROOT}/usr/lib/${triple}")
set(CMAKE_SHARED_LINKER_FLAGS_INIT ${CMAKE_EXE_LINKER_FLAGS_INIT})
