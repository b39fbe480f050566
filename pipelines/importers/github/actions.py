"""What is known of actions: tools that they set up, commands that do the same, and what has no counterpart."""

import re
from collections.abc import Mapping
from typing import NamedTuple

TOOLS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "actions/setup-python": ("python", ("python-version", "python-version-file")),
    "actions/setup-node": ("node", ("node-version", "node-version-file")),
    "actions/setup-go": ("go", ("go-version", "go-version-file")),
    "actions/setup-java": ("java", ("java-version", "java-version-file")),
    "actions/setup-dotnet": ("dotnet", ("dotnet-version", "global-json-file")),
    "ruby/setup-ruby": ("ruby", ("ruby-version",)),
    "actions/setup-ruby": ("ruby", ("ruby-version",)),
    "shivammathur/setup-php": ("php", ("php-version",)),
    "dtolnay/rust-toolchain": ("rust", ("toolchain",)),
    "actions-rs/toolchain": ("rust", ("toolchain",)),
    "actions-rust-lang/setup-rust-toolchain": ("rust", ("toolchain",)),
    "hecrj/setup-rust-action": ("rust", ("rust-version",)),
    "oven-sh/setup-bun": ("bun", ("bun-version", "bun-version-file")),
    "denoland/setup-deno": ("deno", ("deno-version",)),
    "hashicorp/setup-terraform": ("terraform", ("terraform_version",)),
    "azure/setup-helm": ("helm", ("version",)),
    "astral-sh/setup-uv": ("python", ("python-version",)),
    "extractions/setup-just": ("", ()),
}
"""Actions that set up a tool, and their keys of its version; that tool is the job's image."""

CACHED_TOOLS = frozenset({"pip", "npm", "yarn", "pnpm", "maven", "gradle"})
"""Values of ``cache`` of these actions that are ours too."""

COMMANDS: Mapping[str, tuple[str, ...]] = {
    "pnpm/action-setup": ("npm install -g pnpm@{version|latest}",),
    "astral-sh/setup-uv": ("pip install uv",),
    "yezz123/setup-uv": ("pip install uv",),
    "snok/install-poetry": ("pip install poetry",),
    "abatilo/actions-poetry": ("pip install poetry",),
    "pdm-project/setup-pdm": ("pip install pdm",),
    "extractions/setup-just": ("curl -fsSL https://just.systems/install.sh | bash -s -- --to /usr/local/bin",),
    "pre-commit/action": ("pip install pre-commit", "pre-commit run {extra_args|--all-files}"),
    "golangci/golangci-lint-action": (
        "go run github.com/golangci/golangci-lint/v2/cmd/golangci-lint@{version|latest} run {args|}",
    ),
    "actions-rs/cargo": ("cargo {command|build} {args|}",),
    "actions-rs/clippy-check": ("cargo clippy {args|}",),
    "psf/black": ("pip install black", "black {options|--check} {src|.}"),
    "astral-sh/ruff-action": ("pip install ruff", "ruff {args|check} {src|.}"),
    "chartboost/ruff-action": ("pip install ruff", "ruff {args|check} {src|.}"),
    "crate-ci/typos": ("pip install typos", "typos {files|}"),
    "gradle/gradle-build-action": ("{gradle-executable|./gradlew} {arguments|}",),
    "borales/actions-yarn": ("yarn {cmd|install}",),
    "bahmutov/npm-install": ("npm ci",),
    "ramsey/composer-install": ("composer install {composer-options|}",),
    "php-actions/composer": ("composer {command|install} {args|}",),
    "ludeeus/action-shellcheck": (
        "apt-get update && apt-get install -y shellcheck",
        "find {scandir|.} -name '*.sh' -exec shellcheck '{}' +",
    ),
    "azure/setup-kubectl": (
        "curl -fsSLo /usr/local/bin/kubectl https://dl.k8s.io/release/{version|v1.34.0}/bin/linux/amd64/kubectl",
        "chmod +x /usr/local/bin/kubectl",
    ),
    "hadolint/hadolint-action": (
        "curl -fsSLo /usr/local/bin/hadolint https://github.com/hadolint/hadolint/releases/latest/download/hadolint-Linux-x86_64",
        "chmod +x /usr/local/bin/hadolint",
        "hadolint {dockerfile|Dockerfile}",
    ),
    "isort/isort-action": ("pip install isort", "isort {configuration|--check-only --diff} {sort-paths|.}"),
    "pypa/cibuildwheel": (
        "pip install cibuildwheel",
        "cibuildwheel --output-dir {output-dir|wheelhouse} {package-dir|.}",
    ),
    "mikefarah/yq": (
        "curl -fsSLo /usr/local/bin/yq https://github.com/mikefarah/yq/releases/latest/download/yq_linux_amd64",
        "chmod +x /usr/local/bin/yq",
        "{cmd|yq --version}",
    ),
    "reviewdog/action-golangci-lint": (
        "go run github.com/golangci/golangci-lint/v2/cmd/golangci-lint@latest run {golangci_lint_flags|}",
    ),
    "microsoft/playwright-github-action": ("npx playwright install --with-deps",),
    "bufbuild/buf-setup-action": ("npm install -g @bufbuild/buf@{version|latest}",),
    "arduino/setup-task": ("curl -fsSL https://taskfile.dev/install.sh | sh -s -- -b /usr/local/bin",),
    "taiki-e/install-action": ("cargo install --locked {tool|cargo-nextest}",),
}
"""Actions, and the commands that do the same; ``{key|default}`` is a value of ``with``."""

CACHES: Mapping[str, tuple[str, ...]] = {
    "swatinem/rust-cache": ("cargo", "target"),
    "gradle/actions/setup-gradle": ("gradle",),
    "ramsey/composer-install": ("composer",),
    "bahmutov/npm-install": ("npm",),
    "gradle/gradle-build-action": ("gradle",),
}
"""Actions that only keep folders, and the caches that do the same."""

PLUGINS: Mapping[str, str] = {
    "appleboy/ssh-action": "appleboy/drone-ssh",
    "appleboy/scp-action": "appleboy/drone-scp",
    "appleboy/telegram-action": "appleboy/drone-telegram",
    "appleboy/discord-action": "appleboy/drone-discord",
}
"""Actions whose program is a plugin here too, with the same settings."""

IGNORED: Mapping[str, str] = {
    "docker/setup-buildx-action": "every build is one of BuildKit",
    "docker/setup-qemu-action": "workers have their own emulation",
    "docker/setup-compose-action": "steps have their own 'compose'",
    "docker/login-action": "log in once on the server: headway registry login",
    "azure/docker-login": "log in once on the server: headway registry login",
    "aws-actions/amazon-ecr-login": "log in once on the server: headway registry login",
    "step-security/harden-runner": "each step has a network of its own",
    "styfle/cancel-workflow-action": "a newer run cancels older ones: headway repo newest-wins",
    "gradle/wrapper-validation-action": "it only checks the wrapper",
    "gradle/actions/wrapper-validation": "it only checks the wrapper",
    "actions/configure-pages": "it only reads settings of GitHub Pages",
    "mxschmitt/action-tmate": "it is for people who look for a mistake",
    "jlumbroso/free-disk-space": "workers have their own disks",
    "easimon/maximize-build-space": "workers have their own disks",
    "gradle/actions/setup-gradle": "'cache: gradle' does it",
    "swatinem/rust-cache": "'cache: [cargo, target]' does it",
}
"""Actions that are not needed here, and why."""

LEFT_OUT: Mapping[str, tuple[str, str]] = {
    "codecov/codecov-action": ("sends coverage to Codecov", "'reports: {coverage: FILE}' shows it with the run"),
    "coverallsapp/github-action": ("sends coverage to Coveralls", "'reports: {coverage: FILE}' shows it with the run"),
    "codecov/test-results-action": ("sends results of tests to Codecov", "'reports: {junit: FILE}' shows them"),
    "paambaati/codeclimate-action": ("sends coverage to Code Climate", "call its program in 'commands'"),
    "dorny/test-reporter": ("shows results of tests", "'reports: {junit: FILE}' shows them"),
    "enricomi/publish-unit-test-result-action": ("shows results of tests", "'reports: {junit: FILE}' shows them"),
    "mikepenz/action-junit-report": ("shows results of tests", "'reports: {junit: FILE}' shows them"),
    "marocchino/sticky-pull-request-comment": ("writes a comment on the pull request", "statuses are sent anyway"),
    "peter-evans/create-or-update-comment": ("writes a comment", "statuses are sent anyway"),
    "thollander/actions-comment-pull-request": ("writes a comment", "statuses are sent anyway"),
    "8398a7/action-slack": ("sends a message to Slack", "use the plugin plugins/slack"),
    "slackapi/slack-github-action": ("sends a message to Slack", "use the plugin plugins/slack"),
    "rtcamp/action-slack-notify": ("sends a message to Slack", "use the plugin plugins/slack"),
    "actions/attest-build-provenance": ("signs where files come from", ""),
    "actions/attest": ("signs where files come from", ""),
    "github/codeql-action/upload-sarif": ("shows findings at GitHub", "keep the file as an artifact"),
    "actions/dependency-review-action": ("compares dependencies at GitHub", ""),
    "andremiras/coveralls-python-action": ("sends coverage to Coveralls", "'reports: {coverage: FILE}' shows it"),
    "codacy/codacy-coverage-reporter-action": ("sends coverage to Codacy", "'reports: {coverage: FILE}' shows it"),
    "qltysh/qlty-action/coverage": ("sends coverage to Qlty", "'reports: {coverage: FILE}' shows it"),
    "anchore/sbom-action": ("lists what an image or a folder has", "use the image anchore/syft"),
    "actions/attest-sbom": ("signs a list of what an image has", ""),
    "romeovs/lcov-reporter-action": ("writes a comment with the coverage", "'reports: {coverage: FILE}' shows it"),
    "py-cov-action/python-coverage-comment-action": ("writes a comment with the coverage", "use 'reports'"),
    "irongut/codecoveragesummary": ("shows the coverage", "'reports: {coverage: FILE}' shows it"),
    "phoenix-actions/test-reporting": ("shows results of tests", "'reports: {junit: FILE}' shows them"),
    "test-summary/action": ("shows results of tests", "'reports: {junit: FILE}' shows them"),
    "ravsamhq/notify-slack-action": ("sends a message to Slack", "use the plugin plugins/slack"),
    "sarisia/actions-status-discord": ("sends a message to Discord", "use the plugin appleboy/drone-discord"),
    "repo-sync/pull-request": ("opens a pull request", "write commands that call the API"),
    "8bitjonny/gh-get-current-pr": ("asks GitHub for the pull request", "CI_COMMIT_PULL_REQUEST has its number"),
}
"""Actions without a counterpart that the others of the job do not need: what they do, and a hint."""

_PUBLISHES = "write the commands that publish"
MISSING: Mapping[str, tuple[str, str]] = {
    "peaceiris/actions-gh-pages": ("publishes a folder to GitHub Pages", _PUBLISHES),
    "jamesives/github-pages-deploy-action": ("publishes a folder to GitHub Pages", _PUBLISHES),
    "actions/deploy-pages": ("publishes an artifact to GitHub Pages", _PUBLISHES),
    "actions/github-script": ("runs JavaScript with access to GitHub's API", "write commands that call the API"),
    "actions/stale": ("closes old issues", "a server of CI does not do that"),
    "actions/labeler": ("sets labels of pull requests", "a server of CI does not do that"),
    "actions/first-interaction": ("greets new people", "a server of CI does not do that"),
    "dessant/lock-threads": ("locks old issues", "a server of CI does not do that"),
    "dependabot/fetch-metadata": ("reads a pull request of Dependabot", "a server of CI does not do that"),
    "dorny/paths-filter": ("finds which files have changed", "write 'when: {path: ...}'"),
    "tj-actions/changed-files": ("finds which files have changed", "CI_PIPELINE_FILES lists them"),
    "peter-evans/create-pull-request": ("opens a pull request", "write commands that call the API"),
    "ad-m/github-push-action": ("pushes commits", "write git push with a token"),
    "stefanzweifel/git-auto-commit-action": ("commits and pushes files", "write git push with a token"),
    "actions/upload-release-asset": ("adds a file to a release", "use the plugin plugins/github-release"),
    "ncipollo/release-action": ("makes a release", "use the plugin plugins/github-release"),
    "release-drafter/release-drafter": ("writes the notes of a release", "a server of CI does not do that"),
    "googleapis/release-please-action": ("opens pull requests for releases", "a server of CI does not do that"),
    "ossf/scorecard-action": ("judges the settings of a repository at GitHub", "a server of CI does not do that"),
    "github/codeql-action/init": ("begins an analysis by CodeQL", "GitHub has it for its own runs alone"),
    "github/codeql-action/analyze": ("ends an analysis by CodeQL", "GitHub has it for its own runs alone"),
    "github/codeql-action/autobuild": ("builds for an analysis by CodeQL", "GitHub has it for its own runs alone"),
    "aws-actions/configure-aws-credentials": ("logs in to AWS", "store its keys as secrets"),
    "google-github-actions/auth": ("logs in to Google Cloud", "store its key as a secret"),
    "azure/login": ("logs in to Azure", "store its login as a secret"),
    "softprops/action-gh-release": ("makes a release", "use the plugin plugins/github-release"),
    "actions/create-release": ("makes a release", "use the plugin plugins/github-release"),
    "sonarsource/sonarcloud-github-action": ("runs SonarScanner", "use the image sonarsource/sonar-scanner-cli"),
    "sonarsource/sonarqube-scan-action": ("runs SonarScanner", "use the image sonarsource/sonar-scanner-cli"),
    "aquasecurity/trivy-action": ("scans for vulnerabilities", "use the image aquasec/trivy"),
}
"""Actions without a counterpart that the job is about: what they do, and a hint."""


_OF_ALL = frozenset(
    {"cache", "bundler-cache", "enable-cache", "registry-url", "extensions", "components", "working-directory"}
    | {
        "working_directory",
        "github-token",
        "token",
        "check-latest",
        "cache-dependency-path",
        "distribution",
        "override",
    }
    | {"profile", "arguments", "scope", "always-auth", "architecture", "cache-dependency-glob", "run_install"}
)


class Uses(NamedTuple):
    """What ``uses`` names: the action in lower case, and its version."""

    name: str
    version: str


def uses_of(text: str) -> Uses:
    """The action and its version."""
    name, _, version = text.strip().partition("@")
    return Uses(name.lower(), version)


def read_values(uses: Uses) -> set[str]:
    """The keys of ``with`` that an action's commands, tool and caches read, and those that mean nothing here."""
    commands = "\n".join(COMMANDS.get(uses.name, ()))
    _, of_tool = TOOLS.get(uses.name, ("", ()))
    return {*re.findall(r"\{([a-z_-]+)\|", commands), *of_tool, *_OF_ALL}


def filled(command: str, values: Mapping[str, str]) -> str:
    """A command with values of ``with`` in it."""
    return re.sub(r"\{([a-z_-]+)\|([^}]*)\}", lambda found: values.get(found[1]) or found[2], command).rstrip()
