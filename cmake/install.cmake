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

# The pkg-config file is written while installing: only then is the prefix known (cmake --install --prefix).
set(pc_libdir ${CMAKE_INSTALL_LIBDIR})
set(pc_includedir ${CMAKE_INSTALL_INCLUDEDIR})
foreach(dir pc_libdir pc_includedir)
    if(NOT IS_ABSOLUTE ${${dir}})
        string(PREPEND ${dir} "\${prefix}/")
    endif()
endforeach()
set(pc_requires "libevent_core >= 2.1.12")
if(CONCUR_HAS_CONFUSE)
    string(APPEND pc_requires ", libconfuse >= 3.0")
endif()
set(pc_private "")
if(CONCUR_BUILD_SHARED)
    set(pc_private .private)
endif()
install(CODE "
    set(PROJECT_VERSION [[${PROJECT_VERSION}]])
    set(PROJECT_DESCRIPTION [[${PROJECT_DESCRIPTION}]])
    set(pc_libdir [[${pc_libdir}]])
    set(pc_includedir [[${pc_includedir}]])
    set(pc_requires [[${pc_requires}]])
    set(pc_private [[${pc_private}]])
    configure_file([[${PROJECT_SOURCE_DIR}/pkgconfig/concur.pc.in]] [[${PROJECT_BINARY_DIR}/concur.pc]] @ONLY)
")
install(FILES ${PROJECT_BINARY_DIR}/concur.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
