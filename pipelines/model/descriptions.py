"""The description of each key of a pipeline file, which editors show from the JSON Schema."""

from collections.abc import Mapping

_CONTAINER = {
    "image": "The image to run in, by its name; or {build: STEP}, the image that a build step of this file makes.",
    "pull": "Look for a newer image even if one is here.",
    "environment": "Environment variables: NAME: value, or NAME: {from_secret: name}.",
    "entrypoint": "In place of the image's own entrypoint, or of the shell that runs the commands.",
    "directory": "Where it starts: relative to the checkout, or absolute.",
    "privileged": "Gives the container all rights on the host. Needs trust in 'security'.",
    "volumes": "Folders of the host, or named volumes, as SOURCE:TARGET[:ro]. Needs trust in 'volumes'.",
    "devices": "Devices of the host. Needs trust in 'volumes'.",
    "tmpfs": "Folders that are kept in memory. Needs trust in 'volumes'.",
    "dns": "Name servers. Needs trust in 'network'.",
    "dns_search": "Domains that names are looked up in. Needs trust in 'network'.",
    "extra_hosts": "Additional names, as NAME:ADDRESS. Needs trust in 'network'.",
    "network_mode": "The container's network; 'none' is free for all, others need trust in 'network'.",
    "ports": "Accepted, and without effect: containers of a job reach each other's ports as they are.",
    "resources": "How much it may have: {memory: 512m, cpus: 1.5, pids: 200}, within what the server allows.",
    "backend_options": "Options of one kind of backend, such as docker: {user: '1000:1000'}.",
}
_STEP = {
    "name": "The step's name; other steps refer to it with depends_on.",
    "when": "The step runs if this condition holds, or one of a list of them.",
    "depends_on": "Names of steps that must end first. With any depends_on in the file its order does not count.",
    "failure": "What its failing means: 'fail' the job, 'ignore' it, or 'cancel' the whole run.",
    "timeout": "How long it may take, such as 90s, 10m or 1h30m; then it is ended.",
    "retry": "How many further attempts it has if it fails; or {attempts: 2, on: [broken, timeout, 75], backoff: 10s}.",
    "group": "An old key: neighbours of the same group run side by side. Write depends_on.",
}
_COMMANDS = "Shell commands: all in one shell, ended by the first that fails."
_ARTIFACTS = "Files that are kept when it has ended: patterns, or {paths, exclude, expire, when, name}."
_READY = "With detach: steps after it wait for a command that succeeds in it, {port: 80} or {http: ADDRESS}."
_CACHE = "Folders that are kept between runs: a tool such as pip or npm, paths, or {key, paths, restore}."
_REPORTS = "Its report files: {junit: patterns, coverage: patterns}. Failed tests open the page of the run."
_SECRETS = "Secrets that it gets as files in memory: {source: NAME, file: /run/secrets/NAME, mode: 0400}."
_DETACH = "Start it and go on; it is ended when the job ends."
_PATTERNS = {
    "include": "Patterns of which one must match: '*' stops at '/', '**' does not; '?', '[a-z]' and '{a,b}' work too.",
    "exclude": "Patterns of which none may match.",
}

DESCRIPTIONS: Mapping[str, Mapping[str, str]] = {
    "Workflow": {
        "steps": "The steps, one after the other: a list, or a map from name to step.",
        "services": "Containers beside the steps, such as databases, reached by their names.",
        "clone": "How the source is checked out: a step with settings such as depth, tags, recursive and lfs.",
        "skip_clone": "No checkout.",
        "when": "The workflow runs if this condition holds, or one of a list of them.",
        "inputs": "What a person may give to a run by hand or by cron: NAME: DEFAULT, or NAME: {type: ...}.",
        "matrix": "One job for every combination of the values of the axes, or for every item of 'include'.",
        "workspace": "Where the checkout is in every container: base/path.",
        "labels": "Which workers may run it: each of these labels must be one of the worker's.",
        "depends_on": "Names of workflows that must end well first.",
        "artifacts": "Which of the workflows in depends_on it gets artifacts from: {from: [NAME]}; without it all.",
        "runs_on": "An old key: after which outcomes of the workflows before it runs. Write when: {status: ...}.",
        "concurrency": "How many jobs of a group may run at the same time.",
        "timeout": "How long the whole job may take, such as 90s, 10m or 1h30m.",
        "variables": "Ignored: a place for YAML anchors.",
        "$schema": "Ignored: the address of this schema, for editors.",
    },
    "CommandsStep": {
        **_STEP,
        **_CONTAINER,
        "artifacts": _ARTIFACTS,
        "cache": _CACHE,
        "reports": _REPORTS,
        "secrets": _SECRETS,
        "sources": "Patterns of files of the checkout. If nothing of them has changed, nor anything else that the step "
        "depends on, an earlier result is taken, and the step does not run.",
        "commands": _COMMANDS,
        "detach": _DETACH,
        "ready": _READY,
    },
    "PluginStep": {
        **_STEP,
        **_CONTAINER,
        "artifacts": _ARTIFACTS,
        "cache": _CACHE,
        "reports": _REPORTS,
        "secrets": _SECRETS,
        "settings": "What the plugin shall do. It reads them as PLUGIN_NAME from its environment.",
        "detach": _DETACH,
        "ready": _READY,
    },
    "Artifacts": {
        "paths": "Patterns of files, relative to where the step starts; a folder stands for all files in it.",
        "exclude": "Patterns of files that are left out.",
        "expire": "How long they are kept, such as 12h or 7d; without it as long as the run.",
        "when": "After which end of the step: success (the default), failure or always.",
        "name": "What they are shown as; without it the step's name.",
    },
    "Cache": {
        "key": "What the content is for; checksum(FILE) in it stands for a file of the checkout. Without it the paths.",
        "paths": "Folders of the container: absolute, below ~/, or relative to where the step starts.",
        "restore": "Beginnings of keys, tried in this order where nothing has the key itself.",
    },
    "SecretFile": {
        "source": "The secret's name.",
        "file": "The absolute path of the file. Its folder is in memory, for secrets alone.",
        "mode": "Who may read it, such as 0444; without it 0400: the step's user alone.",
    },
    "Reports": {
        "junit": "Patterns of results of tests in JUnit XML (or trx), relative to where the step starts.",
        "coverage": "Patterns of coverage by Cobertura, LCOV, JaCoCo or Clover.",
    },
    "RestoredArtifacts": {
        "from": "Names of workflows in depends_on; an empty list restores nothing.",
    },
    "BuildStep": {**_STEP, "build": "The folder of a Dockerfile, or a map as Compose has it. Always BuildKit."},
    "PushStep": {**_STEP, "push": "Pushes the image that was built and tested, unchanged, to a registry."},
    "Build": {
        "context": "The folder that is sent to the build; '.' without it.",
        "dockerfile": "The Dockerfile's path, relative to the checkout; 'Dockerfile' without it.",
        "dockerfile_inline": "The text of a Dockerfile, in place of a file.",
        "target": "The stage of the Dockerfile to build.",
        "args": "Build arguments. Never secrets: they can be read from the image.",
        "secrets": "Secrets that the Dockerfile mounts: names, or a map from id to name.",
        "ssh": "SSH agents that the Dockerfile mounts.",
        "labels": "Labels of the image.",
        "platforms": "Platforms to build for, such as linux/arm64.",
        "cache_from": "Where caches of earlier builds are read from.",
        "cache_to": "Where the cache of this build is written to.",
        "no_cache": "Build everything anew.",
        "pull": "Look for newer base images.",
        "network": "The network of RUN instructions.",
    },
    "ComposeStep": {
        "compose": "A Compose file, whose services run here: its path, or {file, service, command, profiles, images}.",
        "environment": "Variables for ${NAME} in the Compose file, and for services that name them without a value.",
        "detach": "Start all services and go on; they are ended when the job ends.",
    },
    "Compose": {
        "file": "The path of the Compose file, from the root of the repository.",
        "service": "The service that runs to its end; without it the only one that no other waits for.",
        "command": "What that service runs in place of its own command.",
        "profiles": "Profiles whose services run as well.",
        "images": "Other images for services: NAME: {build: STEP}, the image that a build step of this file makes.",
    },
    "Push": {
        "repo": "Where to push: registry.example.org/owner/name, or a list of such.",
        "tags": "The tags; 'auto' (the default) makes them of the git tag, and 'latest' of the default branch.",
        "tags_file": "A file of the checkout that holds tags, one a line: instead of 'auto', or besides given tags.",
        "registry": "The registry's host, put before a repo that does not name one.",
        "username": "Who logs in at the registry; without it what the repository's settings keep for its host.",
        "password": "The password: {from_secret: name}.",
        "image": "The build step whose image is pushed, where there are several.",
    },
    "Service": {
        **_CONTAINER,
        "name": "The name under which steps reach it.",
        "when": "The service is started if this condition holds, or one of a list of them.",
        "failure": "What its ending early means: 'fail' the job, or 'ignore' it.",
        "commands": "Shell commands in place of what the image starts.",
        "settings": "Reaches the container as PLUGIN_NAME.",
        "ready": "Steps wait for a command that succeeds in it, {port: 5432}, {http: ADDRESS}, or its exit.",
        "timeout": "How long it may take to get ready; 60s without it.",
    },
    "Retry": {
        "attempts": "How many further attempts it has; 1 without it, at most 10.",
        "on": "After which outcomes: broken, timeout, failed, exit statuses; without it after the first three.",
        "backoff": "How long to wait before each further attempt, such as 10s.",
    },
    "Resources": {
        "memory": "Its memory, such as 512m or 2g, with what the kernel keeps of files for it; with more it is killed.",
        "cpus": "How many processors it may use at a time, such as 1.5.",
        "pids": "How many processes and threads it may have at a time.",
    },
    "ReadyCheck": {
        "command": "It is ready when this command, run in its container, succeeds.",
        "port": "It is ready when this TCP port accepts a connection.",
        "http": "It is ready when this address answers, such as http://:8080/health.",
        "exit": "It does some work and ends: steps start when it has ended with 0.",
        "timeout": "How long it may take to get ready.",
    },
    "Condition": {
        "event": "What happened is one of these.",
        "branch": "The branch matches; for pull requests the one they go into; ignored for tags.",
        "ref": "The full ref matches, such as refs/tags/v*.",
        "repo": "The repository matches, as owner/name.",
        "instance": "The host of the server matches.",
        "platform": "The platform matches, such as linux/amd64.",
        "cron": "The name of the cron job matches; checked for cron events only.",
        "path": "A changed file matches; checked for pushes and pull requests.",
        "matrix": "The values of the matrix match; for steps and services.",
        "status": "Not whether, but after what a step runs: success (the default), failure, canceled.",
        "evaluate": 'The expression is true, such as CI_COMMIT_BRANCH == "main".',
        "local": "It is a run of `headway run`, or is not.",
    },
    "Patterns": _PATTERNS,
    "PathPatterns": {
        **_PATTERNS,
        "ignore_message": "Holds whatever changed if the commit's message contains this.",
        "on_empty": "What counts where no file changed; true without it.",
    },
    "Dependency": {
        "name": "The name of what must end first.",
        "optional": "It may be missing, or be left out.",
    },
    "ImageChoice": {
        "name": "The image's name.",
        "build": "The step with 'build' whose image it is.",
    },
    "BackendOptions": {
        "docker": "Options for containers on Docker.",
        "kubernetes": "Accepted, and without effect.",
    },
    "DockerOptions": {"user": "The user, or user:group, that the container runs as."},
    "Workspace": {
        "base": "The folder that all containers of the job share; /headway without it.",
        "path": "The checkout's place in it; src without it.",
    },
    "Include": {
        "include": "A fragment, whose steps and services are put in here: a path of this repository, or of another.",
        "with": "The values of the inputs that the fragment declares.",
    },
    "OtherRepository": {
        "repo": "The address of the repository, as git clones it.",
        "sha": "The id of the commit, in full.",
        "path": "The path of the fragment, from the root of that repository.",
        "with": "The values of the inputs that the fragment declares.",
    },
    "InputDeclaration": {
        "type": "string (the default), boolean, number or choice.",
        "default": "Its value where none is given; without it the variable is not set.",
        "choices": "The values that a choice may have.",
        "options": "The same as choices.",
        "required": "A run that is started by hand or by a cron must give it.",
        "description": "What it means, shown in the form that starts a run.",
    },
    "Concurrency": {
        "limit": "How many may run at the same time.",
        "group": "Whose jobs are counted together; without it those of this workflow.",
        "cancel": "The newest job ends those of the group that are still there; else they wait in order.",
    },
}
"""By the model's name and the key."""
