"""The messages of git, curl, ssh and git-lfs that people meet, and what they mean.

Git runs with LC_ALL=C. The first rule that matches counts: a connection that ends is the end of most refusals too.
Sentences go on after "cannot fetch from URL: ".
"""

import re
from dataclasses import dataclass
from functools import cached_property

from pipelines.state import Reason


@dataclass(frozen=True)
class Rule:
    """A message and its meaning. The sentence may name the pattern's groups, and {address}, {name} and {host}."""

    message: str
    sentence: str
    reason: Reason = Reason.CLONE_FAILED
    transient: bool = False
    explained: bool = True

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        """The message. Made when it is needed: most fetches succeed, and `headway run` starts without it."""
        return re.compile(self.message, re.MULTILINE | re.IGNORECASE)


def _transient(message: str, sentence: str, *, explained: bool = True) -> Rule:
    return Rule(message, sentence, transient=True, explained=explained)


_KEY = "put the worker's public key into the forge as a deploy key with the right to read, or clone over https://"
_KNOWN = "add it to ~/.ssh/known_hosts of the worker's user: ssh-keyscan {port}{host} >> ~/.ssh/known_hosts"

PERMANENT = (
    # Of ssh
    Rule(
        "REMOTE HOST IDENTIFICATION HAS CHANGED",
        "the host key of {host} has changed, which may be an attack; if the forge has a new key, remove the old one: "
        "ssh-keygen -R {host}",
    ),
    Rule(
        "Host key verification failed",
        "the host key of {host} is not known to the worker; once you trust it, " + _KNOWN,
    ),
    Rule("Permission denied \\(", f"the forge accepts no SSH key of the worker; {_KEY}"),
    Rule("cannot run ssh|ssh: (?:command )?not found", "ssh is not installed on the worker; install openssh-client"),
    Rule("not accessible: No such file.*\\n?.*Identity", f"the worker has no SSH key; {_KEY}"),
    Rule(
        "ERROR: Repository not found|project you were looking for could not be found|cannot find repository"
        "|does not appear to be a git repository|repository not exported|Gitea: Unauthori[sz]ed|access denied",
        "there is no such repository: it was removed or renamed, or the worker may not read it; {address}",
    ),
    # Of TLS
    Rule(
        "certificate has expired|certificate.*\\bexpired\\b|expired certificate",
        "the certificate of {host} has expired, or the worker's clock is wrong; renew it on the forge",
    ),
    Rule(
        "no alternative certificate subject name|does not match target host name|certificate is valid for .*, not",
        "the certificate of {host} is for another host name; use the name that it is for, or renew it: {address}",
    ),
    Rule(
        "certificate.*(?:verification failed|unable to get|self[- ]signed|unknown authority|signer not found)"
        "|(?:verification failed|self[- ]signed|unable to get).*certificate",
        "the worker does not trust the certificate of {host}; if a private CA signed its certificate, set "
        "HEADWAY_CA_FILE to the CA's certificate",
    ),
    Rule(
        "error setting certificate (?:verify locations|file)",
        "the file with the trusted certificates cannot be read; look at HEADWAY_CA_FILE",
    ),
    Rule(
        "unexpected TLS packet|wrong version number|packet length too long",
        "{host} does not speak TLS at this port; if the address must begin with http://: {address}",
    ),
    # Of the commit, and of what belongs to it
    Rule(
        "Fetched in submodule path '(?P<path>[^']*)', but it did not contain (?P<commit>[0-9a-f]+)",
        "it has no commit {commit}; push it there, or commit another in its place",
        Reason.COMMIT_MISSING,
    ),
    Rule(
        "No url found for submodule path",
        "it has no address, or one that git refuses: correct it in .gitmodules, or remove the folder from the commit",
        Reason.COMMIT_MISSING,
    ),
    Rule(
        "not our ref|unadvertised object|couldn't find remote ref|no such remote ref",
        "the commit is not there (any more); it may have been force-pushed away: push again or re-run a newer commit",
        Reason.COMMIT_MISSING,
    ),
    Rule(
        "Object does not exist|^LFS: .*object not found|objects? (?:is|are) missing",
        "the LFS server does not have a file of this commit; push it with `git lfs push --all`",
        Reason.COMMIT_MISSING,
    ),
    Rule(
        "'lfs' is not a git command",
        "git-lfs is not installed on this worker; install it, or remove `lfs` from the clone settings",
    ),
    Rule(
        "transport '(?P<kind>[^']*)' not allowed",
        "Headway does not fetch over {kind!r}; use https://, http:// or ssh://",
    ),
    Rule(
        "not valid: is this a git repository|unable to parse remote|invalid server response|smart HTTP.*unexpected",
        "what answers there is no git repository, but perhaps the page to log in; {address}",
    ),
    Rule("dubious ownership", "the repository belongs to another user of its machine, and git refuses it; chown it"),
    Rule(
        "fsck error|badly formed|invalid (?:path|tree)",
        "git refuses an object of the repository, which is damaged or could harm; `git fsck` in a clone names it",
        explained=False,
    ),
    Rule(
        "Timeout: the command",
        "git did not finish in half an hour; look at the network, and at the size of the repository",
    ),
    Rule("Out of memory|cannot allocate memory", "the worker has too little memory for git; give it more, and re-run"),
    Rule(
        "Authentication is required|no supported authentication",
        "it needs a login; `headway repo login {name} --username ACCOUNT` sets it",
    ),
)

TRANSIENT = (
    _transient("timed? ?out|Operation too slow|not responding|deadline exceeded", "{host} does not answer in time"),
    _transient("No route to host|(?:Network|Host) is (?:unreachable|down)", "no network leads to {host}"),
    _transient(
        "Failed to connect to (?P<at>\\S+) port (?P<port>\\d+)"
        "|connect to host (?P<at2>\\S+) port (?P<port2>\\d+): Connection refused"
        "|dial tcp (?P<at3>\\S+):(?P<port3>\\d+): connect: connection refused",
        "{at}{at2}{at3} accepts no connection at port {port}{port2}{port3}",
    ),
    _transient("Connection refused|Couldn't connect to server|Could not connect", "{host} accepts no connection"),
    _transient(
        "Temporary failure in name resolution|lookup .*(?:try again|server misbehaving|i/o timeout)",
        "the name of {host} cannot be looked up for the moment",
    ),
    Rule("Could not resolve hostname (?P<unknown>[^\\s:]+)", "there is no host {unknown}; {address}"),
    _transient(
        "Internal API (?:error|unreachable)|Internal Server Error|currently unable to handle|try again later",
        "{host} has a fault of its own",
    ),
    _transient("Rate limit exceeded|too many requests", "{host} asks to wait (its rate limit is reached)"),
    _transient(
        "Empty reply from server|Connection (?:was )?reset|(?:Recv|Send) failure|Connection closed"
        "|closed by remote host|Broken pipe|: EOF$|unexpected EOF"
        "|handshake\\(\\) failed|SSL_ERROR_SYSCALL|SSL_ERROR_ZERO_RETURN|TLS connection was non-properly terminated"
        "|(?:SSL|TLS|gnutls).*(?:unexpected eof|eof while reading|recv error|send error)",
        "{host} ended the connection",
    ),
    _transient(
        "early EOF|remote end hung up|unexpected disconnect|transfer closed|RPC failed|HTTP/2 (?:stream|framing)"
        "|expected flush|not closed cleanly|bytes of body are still expected|unexpected end of file"
        "|connection was aborted",
        "{host} ended the connection in the middle",
        explained=False,
    ),
    _transient("Could not read from remote repository", "{host} ended the connection", explained=False),
)
