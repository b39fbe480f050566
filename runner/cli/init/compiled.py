"""Go, Rust, Java and .NET."""

from runner.cli.init.found import Found, Step, step, version_in
from runner.cli.init.repository import Repository

_GOLANGCI = "go run github.com/golangci/golangci-lint/v2/cmd/golangci-lint@latest run"
_GOTESTSUM = "go run gotest.tools/gotestsum@latest --junitfile report.xml ./..."


def find_go(repository: Repository) -> Found | None:
    """The steps of a Go module at the root."""
    if not repository.has("go.mod"):
        return None
    image = "golang:" + version_in(repository.text("go.mod"), r"(?m)^go (\d+\.\d+)", "1")
    has_linter = bool(repository.matching(r"\.golangci\.(?:ya?ml|toml|json)"))
    lint = step("lint", image, [_GOLANGCI if has_linter else "go vet ./..."], "go")
    return Found("Go", [lint, step("test", image, [_GOTESTSUM], "go", "report.xml")])


def find_rust(repository: Repository) -> Found | None:
    """The steps of a Cargo project at the root."""
    if not repository.has("Cargo.toml"):
        return None
    pinned = repository.text("rust-toolchain.toml") + repository.text("rust-toolchain")
    image = "rust:" + version_in(pinned, r"(\d+\.\d+(?:\.\d+)?)", "1")
    locked = " --locked" if repository.has("Cargo.lock") else ""
    commands = ["rustup component add clippy rustfmt", "cargo fmt --check", f"cargo clippy{locked} -- -D warnings"]
    steps = [
        step("lint", image, commands, "cargo target"),
        step("test", image, [f"cargo test{locked}"], "cargo target"),
    ]
    return Found("Rust", steps)


def find_java(repository: Repository) -> Found | None:
    """The steps of a project of Maven or Gradle at the root."""
    if repository.has("pom.xml"):
        return Found("Java with Maven", [_maven(repository)])
    if repository.has("build.gradle", "build.gradle.kts"):
        return Found("Java with Gradle", [_gradle(repository)])
    return None


def _maven(repository: Repository) -> Step:
    pattern = r"<(?:java\.version|maven\.compiler\.(?:release|source)|release)>(?:1\.)?(\d+)<"
    java = version_in(repository.text("pom.xml"), pattern, "21")
    wrapped = repository.has("mvnw")
    image = f"eclipse-temurin:{java}-jdk" if wrapped else f"maven:3-eclipse-temurin-{java}"
    command = "sh ./mvnw -B verify" if wrapped else "mvn -B verify"
    return step("test", image, [command], "maven", "**/target/surefire-reports/TEST-*.xml")


def _gradle(repository: Repository) -> Step:
    text = repository.text("build.gradle") + repository.text("build.gradle.kts")
    java = version_in(text, r"JavaLanguageVersion\.of\((\d+)\)", "") or version_in(text, r"VERSION_(\d+)", "21")
    wrapped = repository.has("gradlew")
    image = f"eclipse-temurin:{java}-jdk" if wrapped else f"gradle:8-jdk{java}"
    command = "sh ./gradlew check" if wrapped else "gradle check"
    return step("test", image, [command], "gradle", "**/build/test-results/**/TEST-*.xml")


def find_dotnet(repository: Repository) -> Found | None:
    """The steps of a .NET project."""
    projects = repository.matching(r"(?:[^/]+/){0,2}[^/]+\.(?:slnx?|csproj|fsproj)")
    if not projects:
        return None
    texts = "".join(repository.text(path) for path in projects if not path.endswith((".sln", ".slnx")))
    version = version_in(repository.text("global.json"), r'"version":\s*"(\d+\.\d+)', "")
    version = version or version_in(texts, r"<TargetFrameworks?>[^<]*net(\d+\.\d+)", "9.0")
    command = "dotnet test --logger trx --results-directory results"
    image = f"mcr.microsoft.com/dotnet/sdk:{version}"
    return Found(".NET", [step("test", image, [command], "~/.nuget/packages", "results/*.trx")])
