"""Warm kernel programs: the programs of `oasislmf` forked from a process that has them imported and compiled.

    fork server (imports everything: the warm process)
        └─forks─▶ guardian ─forks─▶ step ─forks, before any code of its own─▶ program server ─forks─▶ program
                                     │                                              ▲                    │
                                     └─starts─▶ bash ─starts─▶ client ──a socket────┘◀──── status ───────┘

A *client* stands on the run's PATH under each program's name. It hands arguments, environment, directory and
descriptors to the *program server* of its attempt, waits, and ends as the program does. Whatever speaks against a fork
being the same as a plain start makes it a plain start. docs/decisions/0013 says why it is built like this.
"""
