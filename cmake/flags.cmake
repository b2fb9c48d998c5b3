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

# What Debian hardens with, and against the clash of stacks and the forging of return addresses as well. Sanitizers bring
# their own, and a build that is not optimised has no use for FORTIFY.
set(concur_hardened OFF)
if(CONCUR_HARDEN AND NOT CONCUR_SANITIZE AND NOT CONCUR_COVERAGE AND NOT CMAKE_BUILD_TYPE STREQUAL "Debug")
    include(CheckCCompilerFlag)
    include(CheckPIESupported)
    set(concur_hardened ON)
    # Shadow stacks cost nothing. Landing pads for indirect calls (=full) are an instruction in every function, for which no
    # Linux has a use in programs yet.
    foreach(flag -fstack-protector-strong -fstack-clash-protection -fcf-protection=return)
        string(MAKE_C_IDENTIFIER has${flag} has)
        check_c_compiler_flag(${flag} ${has})
        if(${has})
            add_compile_options(${flag})
        endif()
    endforeach()
    add_compile_options(-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2 -Wformat -Wformat-security)
    check_pie_supported(LANGUAGES C)
    set(CMAKE_POSITION_INDEPENDENT_CODE ON)
    add_link_options(LINKER:-z,relro LINKER:-z,now LINKER:-z,noexecstack)
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
