"""An example of the value of each key of a pipeline file, which editors offer from the JSON Schema.

Old keys have none: nothing new should be written with them.
"""

from collections.abc import Mapping, Sequence

Examples = Mapping[str, Sequence[object]]

_CONTAINER: Examples = {
    "image": ["python:3.13-slim", {"build": "app"}],
    "pull": [True],
    "environment": [{"LEVEL": "debug", "TOKEN": {"from_secret": "token"}}],
    "entrypoint": [["/bin/bash", "-c"]],
    "directory": ["frontend"],
    "privileged": [True],
    "volumes": ["/srv/data:/data:ro"],
    "devices": ["/dev/kvm"],
    "tmpfs": ["/tmp"],  # noqa: S108 - a path in a container
    "dns": ["10.0.0.53"],
    "dns_search": ["example.org"],
    "extra_hosts": ["db.example.org:10.0.0.7"],
    "network_mode": ["none"],
    "ports": ["8080"],
    "resources": [{"memory": "512m", "cpus": 1.5, "pids": 200}],
    "backend_options": [{"docker": {"user": "1000:1000"}}],
}
_STEP: Examples = {
    "name": ["test"],
    "when": [{"event": "push", "branch": "main"}],
    "depends_on": ["build", ["build", "lint"]],
    "failure": ["ignore"],
    "timeout": ["10m"],
    "retry": [2, {"attempts": 2, "on": ["broken", "timeout", 75], "backoff": "10s"}],
}
_KEPT: Examples = {
    "artifacts": ["dist/**", {"paths": ["dist/**"], "expire": "7d"}],
    "cache": ["pip", {"key": "deps-checksum(go.sum)", "paths": ["/go/pkg/mod"]}],
    "reports": [{"junit": "report.xml"}],
    "secrets": [{"source": "deploy_key", "file": "/run/secrets/deploy_key"}],
    "detach": [True],
    "ready": [{"port": 8080}, {"http": "http://:8080/health"}, "test -f /tmp/ready"],
}
_COMMANDS = ["make test", ["make", "make test"]]
_SETTINGS = [{"target": "/srv/www", "password": {"from_secret": "password"}}]
_CHOICE = ["main", {"exclude": "renovate/*"}]
_WITH = [{"LEVEL": "debug"}]
_BUILD = [".", {"context": ".", "target": "test", "args": {"VERSION": "1.2"}}]
_PUSH = [{"repo": "registry.example.org/team/app", "tags": "auto"}]
_WORKFLOW_STEP = {"image": "golang:1.25", "commands": ["go test ./..."]}

EXAMPLES: Mapping[str, Examples] = {
    "Workflow": {
        "steps": [{"test": _WORKFLOW_STEP}, [{"name": "test", **_WORKFLOW_STEP}]],
        "services": [{"db": {"image": "postgres:18", "environment": {"POSTGRES_PASSWORD": "test"}}}],
        "clone": [{"git": {"image": "woodpeckerci/plugin-git", "settings": {"depth": 50, "lfs": True}}}],
        "skip_clone": [True],
        "when": [{"event": ["push", "pull_request"]}, [{"event": "push", "branch": "main"}, {"event": "tag"}]],
        "inputs": [{"LEVEL": {"type": "choice", "options": ["smoke", "full"], "default": "smoke"}}],
        "matrix": [{"PYTHON": ["3.12", "3.13"]}, {"include": [{"PYTHON": "3.13", "DB": "sqlite"}]}],
        "workspace": [{"base": "/go", "path": "src/example.org/app"}],
        "labels": [{"platform": "linux/arm64"}],
        "depends_on": [["build"]],
        "artifacts": [{"from": ["build"]}],
        "concurrency": [1, {"group": "deploy", "limit": 1, "cancel": True}],
        "timeout": ["1h30m"],
        "variables": [[{"image": "golang:1.25"}]],
        "$schema": ["https://ci.example.com/schema.json"],
    },
    "CommandsStep": {**_STEP, **_CONTAINER, **_KEPT, "sources": [["src/**", "go.mod"]], "commands": _COMMANDS},
    "PluginStep": {**_STEP, **_CONTAINER, **_KEPT, "settings": _SETTINGS},
    "Artifacts": {
        "paths": [["dist/**", "*.log"]],
        "exclude": ["**/*.tmp"],
        "expire": ["7d"],
        "when": ["always"],
        "name": ["packages"],
    },
    "Cache": {
        "key": ["deps-checksum(package-lock.json)"],
        "paths": [["pip"], ["node_modules", "~/.cache"]],
        "restore": ["deps-"],
    },
    "SecretFile": {"source": ["deploy_key"], "file": ["/run/secrets/deploy_key"], "mode": ["0444"]},
    "Reports": {"junit": ["**/TEST-*.xml"], "coverage": ["coverage.xml"]},
    "RestoredArtifacts": {"from": [["build"]]},
    "BuildStep": {**_STEP, "build": _BUILD},
    "PushStep": {**_STEP, "push": _PUSH},
    "Build": {
        "context": ["."],
        "dockerfile": ["docker/Dockerfile"],
        "dockerfile_inline": ["FROM alpine:3\nCOPY . /app\n"],
        "target": ["test"],
        "args": [{"VERSION": "1.2"}],
        "secrets": [["npm_token"], {"npmrc": "npm_token"}],
        "ssh": ["default"],
        "labels": [{"org.opencontainers.image.title": "app"}],
        "platforms": [["linux/amd64", "linux/arm64"]],
        "cache_from": ["type=registry,ref=registry.example.org/team/app:cache"],
        "cache_to": ["type=registry,ref=registry.example.org/team/app:cache,mode=max"],
        "no_cache": [True],
        "pull": [True],
        "network": ["none"],
    },
    "ComposeStep": {
        **_STEP,
        **{key: _KEPT[key] for key in ("artifacts", "reports", "detach")},
        "environment": _CONTAINER["environment"],
        "compose": ["docker-compose.test.yml", {"file": "compose.yml", "service": "tests"}],
    },
    "Compose": {
        "file": ["docker-compose.test.yml"],
        "service": ["tests"],
        "command": [["pytest", "-x"]],
        "profiles": ["test"],
        "images": [{"web": {"build": "app"}}],
    },
    "Push": {
        "repo": ["registry.example.org/team/app"],
        "tags": ["auto", ["1.2", "latest"]],
        "tags_file": [".tags"],
        "registry": ["registry.example.org"],
        "username": ["ci", {"from_secret": "registry_user"}],
        "password": [{"from_secret": "registry_password"}],
        "image": [{"build": "app"}],
    },
    "Service": {
        **_CONTAINER,
        "name": ["db"],
        "when": _STEP["when"],
        "failure": ["ignore"],
        "commands": ["redis-server --save ''"],
        "settings": _SETTINGS,
        "ready": [{"port": 5432}, {"http": "http://:8080/health"}, "pg_isready", "exit"],
        "timeout": ["2m"],
    },
    "Retry": {"attempts": [2], "on": [["broken", "timeout", 75]], "backoff": ["10s"]},
    "Resources": {"memory": ["512m"], "cpus": [1.5], "pids": [200]},
    "ReadyCheck": {
        "command": ["pg_isready"],
        "port": [5432],
        "http": ["http://:8080/health"],
        "exit": [True],
        "timeout": ["2m"],
    },
    "Condition": {
        "event": ["push", ["push", "tag"]],
        "branch": _CHOICE,
        "ref": ["refs/tags/v*"],
        "repo": ["team/app"],
        "instance": ["ci.example.org"],
        "platform": ["linux/amd64"],
        "cron": ["nightly"],
        "path": ["src/**", {"include": ["src/**"], "exclude": ["**/*.md"]}],
        "matrix": [{"PYTHON": "3.13"}],
        "status": [["success", "failure"]],
        "evaluate": ['CI_COMMIT_BRANCH == "main"'],
        "local": [False],
    },
    "Patterns": {"include": [["main", "release/*"]], "exclude": ["renovate/*"]},
    "PathPatterns": {
        "include": [["src/**"]],
        "exclude": ["**/*.md"],
        "ignore_message": ["[ALL]"],
        "on_empty": [False],
    },
    "Dependency": {"name": ["build"], "optional": [True]},
    "ImageChoice": {"name": ["python:3.13-slim"], "build": ["app"]},
    "BackendOptions": {"docker": [{"user": "1000:1000"}], "kubernetes": [{"serviceAccountName": "ci"}]},
    "DockerOptions": {"user": ["1000:1000"]},
    "Workspace": {"base": ["/go"], "path": ["src/example.org/app"]},
    "Include": {"include": ["ci/test.yml"], "with": _WITH},
    "OtherRepository": {
        "repo": ["https://git.example.org/team/ci.git"],
        "sha": ["0123456789abcdef0123456789abcdef01234567"],
        "path": ["ci/test.yml"],
        "with": _WITH,
    },
    "InputDeclaration": {
        "type": ["choice"],
        "default": ["smoke"],
        "choices": [["smoke", "full"]],
        "options": [["smoke", "full"]],
        "required": [True],
        "description": ["Which tests run."],
    },
    "Concurrency": {"limit": [1], "group": ["deploy"], "cancel": [True]},
}
"""By the model's name and the key."""

DEFAULTS: Mapping[str, Mapping[str, object]] = {
    "Build": {"dockerfile": "Dockerfile"},
    "Condition": {"status": ["success"]},
    "SecretFile": {"mode": "0400"},
    "Service": {"timeout": "60s"},
}
"""What counts without a key, where the model has no value for it or another form than files."""
