"""Names of environment variables that text from outside may not set, because a program runs their value as code.

A shell, an interpreter or a dynamic loader reads some variables before the first command of a step: with one of them
an input would decide what a step does. The list cannot be complete, so it is the second check: the first is that a
pipeline file declares the names of its inputs.
"""

import re

NAME_CHARS_MAX = 100
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")

# Compared in capitals: npm, curl and others read lower case too.
_OURS = ("CI_", "HEADWAY_", "PLUGIN_", "DRONE_", "PULLREQUEST_DRONE_")
_PREFIXES = (
    # the dynamic loader and the C library
    *("LD_", "DYLD_", "GLIBC_", "MALLOC_", "GCONV_"),
    # shells
    *("BASH", "ZSH", "KSH_", "FISH_", "XDG_"),
    # programs that steps call without naming a file
    *("GIT_", "SSH_", "SUDO_", "GPG_", "GNUPG", "DOCKER_", "BUILDKIT_", "BUILDX_", "COMPOSE_", "CONTAINER_", "PODMAN_"),
    *("CURL_", "WGET", "OPENSSL_", "SSL_", "LESS", "TAR_", "RSYNC_", "MAKE", "CMAKE_", "CCACHE_", "SCCACHE_", "GCC_"),
    # interpreters and their package managers
    *("PYTHON", "PIP_", "PIPENV_", "POETRY_", "UV_", "PDM_", "VIRTUALENV_", "CONDA_", "PYTEST_", "TOX_"),
    *("NODE_", "NPM_", "YARN_", "PNPM_", "COREPACK_", "BUN_", "DENO_", "ELECTRON_"),
    *("PERL", "RUBY", "GEM_", "BUNDLE", "RUSTC", "RUSTDOC", "CARGO_", "RUSTUP_", "CGO_", "PHP", "COMPOSER_"),
    *("JAVA_", "_JAVA_", "JDK_", "MAVEN_", "MVN", "GRADLE_", "ANT_", "SBT_", "KOTLIN_"),
    *("DOTNET_", "COMPLUS_", "CORECLR_", "COR_", "NUGET_", "MSBUILD", "POWERSHELL_", "PSMODULE"),
    *("LUA_", "TCL", "R_", "JULIA_", "ERL_", "ELIXIR_", "MIX_", "OCAML", "OPAM", "GUILE_", "EMACS"),
    *(
        "MOCHA_",
        "TS_NODE_",
        "TSX_",
        "RSPEC_",
        "COVERAGE_PROCESS_",
        "GHCRTS",
        "GHC_PACKAGE_",
        "GHC_ENVIRONMENT",
        "GHCUP_",
    ),
    *("CABAL_", "LEIN_", "CLJ_", "DART_VM_", "PUB_CACHE", "PUB_HOSTED_", "SWIFT_EXEC"),
    *("ANSIBLE_", "TF_CLI_", "TF_PLUGIN_", "HELM_", "KUBE", "TERRAGRUNT_", "PACKER_CONFIG", "PACKER_PLUGIN_"),
    *("NIX_CONF", "NIX_CFLAGS", "NIX_LDFLAGS", "NIX_REMOTE", "NIX_SSHOPTS", "HOMEBREW_"),
    # version control, editors, clients of databases, typesetting
    *("HG", "SVN_", "CVS", "BZR_", "VIM", "NVIM_", "PSQL", "TEXMF", "TEXINPUTS"),
    # plug-ins and drivers that libraries load
    *("GTK_", "GDK_", "GIO_", "GST_PLUGIN", "GST_REGISTRY", "GSETTINGS_", "GI_TYPELIB_", "QT_PLUGIN", "QT_QPA_", "QML"),
    *("LIBGL_", "MESA_", "VK_ICD", "VK_LAYER", "VK_ADD", "VK_DRIVER", "VK_INSTANCE", "__GL", "__EGL", "EGL_", "LIBVA_"),
    *("VDPAU_", "ALSA_", "MAGICK_", "GEGL_", "BABL_", "FONTCONFIG_", "OCL_ICD_", "OPENCL_", "NSS_", "KRB5", "P11_KIT_"),
    *("PKCS11_", "FAKEROOT", "FAKECHROOT"),
)
# Whole families: programs name so what they read as code, as options, or as a place of code.
_FAMILIES = (
    *("RSH", "SSH", "COMMAND", "CMD", "HOOK", "HOOKS", "SHELL", "EDITOR", "PAGER", "BROWSER", "ASKPASS", "VIEWER"),
    *("OPTIONS", "OPTS", "PATH", "PRELOAD", "MODULE", "MODULES", "PLUGIN", "PLUGINS", "LOADER", "LOADERS"),
    *("MODULE_FILE", "CONFIG_FILE", "RCFILE", "KEYLOGFILE", "STARTUP", "WRAPPER", "LAUNCHER", "COMPILER", "LINKER"),
    *("PROXY", "HOME", "CONF", "INIT_FILE", "PLUGIN_DIR", "MODULES_DIR"),
)
# Words of which pipelines make names of their own: where nothing else comes before it, a name of a family belongs to
# no program, as RELEASE_PATH and S3_UPLOAD_PATH.
_OWN_WORDS = (
    *("API", "APP", "ARCHIVE", "ARTIFACT", "ARTIFACTS", "ASSET", "ASSETS", "BACKEND", "BACKUP", "BASE", "BUCKET"),
    *("BUILD", "CHART", "CLIENT", "COVERAGE", "DATA", "DB", "DEPLOY", "DEPLOYMENT", "DEST", "DESTINATION", "DISABLE"),
    *("DIST", "DOCS", "DOWNLOAD", "ENABLE", "EXTRA", "FEATURE", "FILE", "FOLDER", "FRONTEND", "HEALTH", "HOST"),
    *("IMAGE", "INPUT", "INSTALL", "LOG", "LOGS", "OUT", "OUTPUT", "PACKAGE", "PROJECT", "RELEASE", "REMOTE", "REPO"),
    *("REPORT", "RESULT", "ROLLBACK", "ROOT", "RUN", "S3", "SERVER", "SERVICE", "SITE", "SKIP", "SMOKE", "SOURCE"),
    *("SRC", "STAGE", "STAGING", "START", "TARGET", "TEST", "TESTS", "UPLOAD", "URL", "USE", "VERSION", "WEB", "WITH"),
)
_FAMILY = re.compile(rf"(?!(?:(?:{'|'.join(_OWN_WORDS)})_)+(?:{'|'.join(_FAMILIES)})$).*_(?:{'|'.join(_FAMILIES)})")
# Written without _ before the ending, as RUSTFLAGS, PYLINTRC and EXINIT. FEATURE_FLAGS and SRC are ordinary words.
_JOINED = re.compile(r".*(?:[A-Z0-9]FLAGS|[A-Z0-9]{2}(?<!S)RC|[A-Z0-9]{2}(?<!RE)INIT)")
_WORDS = frozenset(
    """
    CI PATH IFS ENV HOME SHELL SHELLOPTS PS0 PS1 PS2 PS3 PS4 PROMPT_COMMAND CDPATH FPATH FCEDIT GLOBIGNORE
    HISTFILE INPUTRC EXECIGNORE FIGNORE FUNCNEST MAIL MAILPATH OLDPWD PWD OPTARG OPTIND POSIXLY_CORRECT TMOUT
    UID EUID PPID _ SHLVL USER LOGNAME ZDOTDIR TMPDIR TMP TEMP TERMINFO TERMINFO_DIRS TERMCAP HOSTALIASES
    RES_OPTIONS LOCALDOMAIN NLSPATH LOCPATH TZDIR GETCONF_DIR RESOLV_HOST_CONF EDITOR VISUAL PAGER MANPAGER
    MANPATH BROWSER SYSTEMD_EDITOR SYSTEMD_PAGER CC CXX CPP LD AR AS NM CFLAGS CXXFLAGS CPPFLAGS LDFLAGS
    COMPILER_PATH LIBRARY_PATH CPATH C_INCLUDE_PATH CPLUS_INCLUDE_PATH PKG_CONFIG PKG_CONFIG_PATH ACLOCAL_PATH
    CONFIG_SITE CONFIG_SHELL MFLAGS GNUMAKEFLAGS CLASSPATH GOFLAGS GOPROXY GOENV GOROOT GOPATH GOBIN
    GOTOOLCHAIN GONOSUMDB GONOSUMCHECK GOSUMDB GONOPROXY GOPRIVATE GOINSECURE GOVCS GOTOOLDIR GOCACHE
    AWS_CONFIG_FILE AWS_SHARED_CREDENTIALS_FILE CLOUDSDK_CONFIG CLOUDSDK_PYTHON BOTO_CONFIG REQUESTS_CA_BUNDLE
    HTTP_PROXY HTTPS_PROXY FTP_PROXY ALL_PROXY NO_PROXY DEBUGINFOD_URLS SSLKEYLOGFILE NETRC BASHOPTS
    M4 YACC LEX FC F77 F90 NASM YASM AUTOCONF AUTOHEADER AUTOMAKE AUTOM4TE AUTORECONF AUTOPOINT ACLOCAL LIBTOOL
    LIBTOOLIZE RANLIB STRIP OBJC OBJCXX OBJCOPY OBJDUMP NVCC WINDRES DLLTOOL AWK SED GREP EGREP FGREP RM TAR ARFLAGS
    COVERAGE_RCFILE COVERAGE_FILE BIBINPUTS BSTINPUTS JVM_ARGS JAVA_ARGS PGSERVICEFILE PGSYSCONFDIR PGPASSFILE
    DBUS_SESSION_BUS_ADDRESS DBUS_SYSTEM_BUS_ADDRESS MYSQL_TEST_LOGIN_FILE STACK_ROOT STACK_YAML STACK_CONFIG
    ZIG_LIB_DIR
    """.split()  # noqa: SIM905 - a list would have a line for each
)


def why_not_a_name(name: str) -> str:
    """Why text from outside cannot give a variable this name, as the rest of a sentence; empty if it can."""
    if len(name) > NAME_CHARS_MAX or not _NAME.fullmatch(name):
        return f"a name has letters, digits and _, begins with no digit, and is at most {NAME_CHARS_MAX} long"
    upper = name.upper()
    if upper == "CI" or upper.startswith(_OURS):
        return f"names with {', '.join(_OURS[:4])} are Headway's own"
    if upper in _WORDS or upper.startswith(_PREFIXES) or _FAMILY.fullmatch(upper) or _JOINED.fullmatch(upper):
        return "a shell, an interpreter or a loader takes code from the variable of this name"
    return ""
