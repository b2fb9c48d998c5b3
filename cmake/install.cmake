# SPDX-License-Identifier: MIT
#
# Headers, libraries, the pkg-config file and the CMake package. The two libraries are exported apart: a program that links
# the shared one needs nothing of libevent's development files.

include(CMakePackageConfigHelpers)
set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/concur)

install(FILES ${concur_headers} DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/concur)

install(TARGETS concur-static EXPORT concur-static DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(TARGETS concur_dependencies EXPORT concur-static)
install(EXPORT concur-static NAMESPACE concur:: FILE concur-static.cmake DESTINATION ${package_dir})
if(CONCUR_BUILD_SHARED)
    install(TARGETS concur EXPORT concur-shared DESTINATION ${CMAKE_INSTALL_LIBDIR})
    install(EXPORT concur-shared NAMESPACE concur:: FILE concur-shared.cmake DESTINATION ${package_dir})
endif()

configure_package_config_file(cmake/concur-config.cmake.in ${PROJECT_BINARY_DIR}/concur-config.cmake
    INSTALL_DESTINATION ${package_dir})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/concur-config-version.cmake COMPATIBILITY SameMajorVersion)
install(FILES ${PROJECT_BINARY_DIR}/concur-config.cmake ${PROJECT_BINARY_DIR}/concur-config-version.cmake
    DESTINATION ${package_dir})

# Paths relative to the prefix, unless the installation directories were given as absolute ones.
foreach(dir LIBDIR INCLUDEDIR)
    if(IS_ABSOLUTE ${CMAKE_INSTALL_${dir}})
        set(CONCUR_PC_${dir} ${CMAKE_INSTALL_${dir}})
    else()
        set(CONCUR_PC_${dir} "\${prefix}/${CMAKE_INSTALL_${dir}}")
    endif()
endforeach()
set(CONCUR_PC_REQUIRES "libevent_core >= 2.1.12")
if(CONCUR_HAS_CONFUSE)
    string(APPEND CONCUR_PC_REQUIRES ", libconfuse >= 3.0")
endif()
if(CONCUR_BUILD_SHARED)
    set(CONCUR_PC_WHEN_STATIC .private)
endif()
configure_file(pkgconfig/concur.pc.in ${PROJECT_BINARY_DIR}/concur.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/concur.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
