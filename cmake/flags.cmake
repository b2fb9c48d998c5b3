# SPDX-License-Identifier: MIT
#
# How everything here is compiled: the dialect and warnings as a target, instrumentation for the whole build.

find_program(CCACHE ccache)
mark_as_advanced(CCACHE)
if(CCACHE AND NOT CMAKE_C_COMPILER_LAUNCHER)
    set(CMAKE_C_COMPILER_LAUNCHER ${CCACHE})
endif()

set(CMAKE_C_STANDARD 11)
set(CMAKE_C_STANDARD_REQUIRED ON)
set(CMAKE_C_EXTENSIONS ON)

add_library(concur_dialect INTERFACE)
target_compile_definitions(concur_dialect INTERFACE _GNU_SOURCE)
target_compile_options(concur_dialect INTERFACE
    -Wall -Wextra -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes
    $<$<BOOL:${CONCUR_WERROR}>:-Werror>)
if(CONCUR_FAULTS)
    target_compile_definitions(concur_dialect INTERFACE CNC_FAULTS)
endif()

if(CONCUR_BUILD_FUZZ)
    if(NOT CMAKE_C_COMPILER_ID MATCHES "Clang")
        message(FATAL_ERROR "The fuzz targets need clang: -DCMAKE_C_COMPILER=clang.")
    endif()
    add_compile_options(-fsanitize=fuzzer-no-link)
endif()
if(CONCUR_SANITIZE)
    add_compile_options(-fsanitize=${CONCUR_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
    add_link_options(-fsanitize=${CONCUR_SANITIZE})
endif()
if(CONCUR_COVERAGE)
    add_compile_options(--coverage)
    # A forked worker calls it where there is one (base/process.c); a weak reference alone brings in no archive member.
    add_link_options(--coverage -Wl,-u,__gcov_dump)
endif()
