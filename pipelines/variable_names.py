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
    *("ANSIBLE_", "TF_CLI_", "TF_PLUGIN_", "HELM_", "KUBE", "TERRAGRUNT_"),
)
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
    HTTP_PROXY HTTPS_PROXY FTP_PROXY ALL_PROXY NO_PROXY DEBUGINFOD_URLS
    """.split()  # noqa: SIM905 - a list would have a line for each
)


def why_not_a_name(name: str) -> str:
    """Why text from outside cannot give a variable this name, as the rest of a sentence; empty if it can."""
    if len(name) > NAME_CHARS_MAX or not _NAME.fullmatch(name):
        return f"a name has letters, digits and _, begins with no digit, and is at most {NAME_CHARS_MAX} long"
    upper = name.upper()
    if upper == "CI" or upper.startswith(_OURS):
        return f"names with {', '.join(_OURS[:4])} are Headway's own"
    if upper in _WORDS or upper.startswith(_PREFIXES):
        return "a shell, an interpreter or a loader takes code from the variable of this name"
    return ""
