"""Dockerfiles that use the image {0} in a spelling that is easily overlooked. {1} is its name without ``headway``."""

COPY = "COPY --from={0} /bin/true /o/"
FROM_A_VARIABLE = "ARG X=a{0}\nFROM ${{X#a}}\n"
DECEPTIONS = [
    "FROM\t{0}", "FROM\f{0}", "FROM\v{0}", "FROM \t\f\v\r{0}", "from {0}", "fRoM {0}",
    "\ufeffFROM {0}", "FROM {0}\r\n",
    "\u2003FROM {0}", "\x0bFROM {0}\r\r", "FR\\\nOM {0}", "FROM \\\n\n# x\n  # y\n\\\n{0}", "FROM \ufeff{0}",
    "\\\nFROM {0}", "FROM '{0}'", 'FROM "{0}"', "FROM hea\\dway{1}",
    *(f"FROM busybox\nCOPY{space}--from={{0}} /bin/true /o/" for space in "\t\f\v"),
    *(f"FROM busybox\nRUN{space}--mount=type=bind,from={{0}},target=/x true" for space in "\t\f\v"),
    "FROM busybox\nRUN --mount=target=/x,fr\\om={0} true", "FROM busybox\nRUN --mo\\unt=target=/x,from={0} true",
    "FROM busybox\nRUN --mount='target=/x,\"from={0}\"' true",
    "FROM busybox\nRUN --mount=target=/x,from={0}",
    "FROM busybox\nCOPY --fr\\om={0} /bin/true /o/", "FROM busybox\nCOPY --chown=1 --from={0} /bin/true /o/",
    "FROM busybox\nRUN --mount=type=tmpfs,target=/x\u00e0--mount=from={0},target=/y true",
    *(f"FROM busybox\nRUN {command}\n{COPY}" for command in (
        'echo "a <<E"', '["echo","<<E"]', "echo $((1<<E))", "echo \\\\<<E", '$(echo "<<E")', "x<<E", '"q"<<E',
        "echo \\<<E",
        "cat <<'E'X\nhi\nEX", "cat <<E <<F\na\nE\nb\nF", "<<-E\n\thi\n\t\tE", '<<"E F"\nhi\nE F', "echo 'a' \"<<E",
        "echo ${{a^b}} <<E", "echo a<<E <", "3<<E\nE", "cat <<<E", 'cat <<"E"\'F\'\nx\nEF', "cat <<E\\ F\nx\nE F",
    )),
    "FROM busybox\nRUN cat << E\n" + COPY, f"# escape=`\nFROM busybox\nRUN echo \\\n{COPY}",
    "# escape=`\nFROM busybox\nCOPY `\n --from={0} /bin/true /o/", "#x=y\n# escape=`\nFROM busybox\nRUN x \\\n" + COPY,
    FROM_A_VARIABLE, "ARG X=head-way{1}\nFROM ${{X/-/}}", "ARG X={0}xx\nFROM ${{X%xx}}",
    "ARG X={0}xx\nFROM ${{X%??}}",
    'ARG X="{0}"\nFROM ${{Y:-$X}}', "ARG X=hea\\dway\nFROM $X{1}", "ARG A=h B={0}\nFROM ${{A:+$B}}",
    "ARG X='{0}'\nFROM ${{X?}}", "ARG HTTP_PROXY={0}\nFROM $HTTP_PROXY", "FROM ${{TARGETNONE:-{0}}}",
]  # fmt: skip
