# SPDX-License-Identifier: MIT
#
# What the library links: one interface target, concur_dependencies.

find_package(PkgConfig REQUIRED)
set(THREADS_PREFER_PTHREAD_FLAG ON)
find_package(Threads REQUIRED)

pkg_check_modules(LIBEVENT IMPORTED_TARGET libevent_core>=2.1.12)
if(NOT LIBEVENT_FOUND)
    message(FATAL_ERROR
        "libevent 2.1.12 or newer was not found by pkg-config. On Debian install libevent-dev and pkg-config.")
endif()

option(CONCUR_ACCEPT_UNPATCHED_LIBEVENT
    "Accept a libevent 2.1.12 without the security fixes that Debian back-ported" OFF)
set(CONCUR_LIBEVENT_REVISION 2.1.12-stable-8+deb12u1)

# Upstream's 2.1.12 has the same version number with and without the fixes; only the package's revision tells them apart.
function(concur_check_libevent)
    if(LIBEVENT_VERSION VERSION_GREATER_EQUAL 2.1.13)
        return()
    endif()
    find_program(DPKG_QUERY dpkg-query)
    find_program(DPKG dpkg)
    mark_as_advanced(DPKG_QUERY DPKG)
    set(revision "")
    if(DPKG_QUERY AND DPKG)
        execute_process(
            COMMAND ${DPKG_QUERY} -W "-f=\${db:Status-Abbrev}\${Version}\\n" libevent-core-2.1-7 libevent-core-2.1-7t64
            OUTPUT_VARIABLE rows ERROR_QUIET)
        if(rows MATCHES "(^|\n)ii +([^\n]+)")
            set(revision ${CMAKE_MATCH_2})
        endif()
    endif()
    if(revision)
        execute_process(
            COMMAND ${DPKG} --compare-versions ${revision} ge ${CONCUR_LIBEVENT_REVISION}
            RESULT_VARIABLE older)
        if(NOT older)
            message(STATUS "libevent ${revision}: has the back-ported security fixes")
            return()
        endif()
        set(found "package revision ${revision}")
    else()
        set(found "version ${LIBEVENT_VERSION} of unknown origin")
    endif()
    if(CONCUR_ACCEPT_UNPATCHED_LIBEVENT)
        message(WARNING "libevent ${found} may lack security fixes; accepted because CONCUR_ACCEPT_UNPATCHED_LIBEVENT is on.")
        return()
    endif()
    if(NOT revision)
        message(WARNING
            "libevent ${found}: cannot tell whether it has the security fixes made after the release of 2.1.12. Make sure it has, "
            "or use 2.1.13 or newer.")
        return()
    endif()
    message(FATAL_ERROR
        "libevent ${found} lacks security fixes made after the release of 2.1.12. Install libevent-dev and "
        "libevent-core-2.1-7 ${CONCUR_LIBEVENT_REVISION} or newer, or libevent 2.1.13 or newer. Debian 12 has it in its "
        "security archive; /etc/apt/sources.list needs this line, before apt-get update and apt-get install libevent-dev:\n"
        "  deb http://deb.debian.org/debian-security bookworm-security main\n"
        "To build all the same: -DCONCUR_ACCEPT_UNPATCHED_LIBEVENT=ON.")
endfunction()
concur_check_libevent()

add_library(concur_dependencies INTERFACE)
target_link_libraries(concur_dependencies INTERFACE PkgConfig::LIBEVENT Threads::Threads)

set(CONCUR_HAS_CONFUSE OFF)
if(CONCUR_WITH_CONFUSE)
    pkg_check_modules(CONFUSE IMPORTED_TARGET libconfuse>=3.0)
    if(CONFUSE_FOUND)
        set(CONCUR_HAS_CONFUSE ON)
        target_link_libraries(concur_dependencies INTERFACE PkgConfig::CONFUSE)
        target_compile_definitions(concur_dependencies INTERFACE CNC_WITH_CONFUSE)
    elseif(NOT CONCUR_WITH_CONFUSE STREQUAL "AUTO")
        message(FATAL_ERROR "libconfuse 3.0 or newer was not found by pkg-config. On Debian install libconfuse-dev.")
    endif()
endif()
message(STATUS "Configuration files (libconfuse): ${CONCUR_HAS_CONFUSE}")
