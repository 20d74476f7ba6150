"""Started once, forks a capbench for each line of its input: the lives of a run that is killed again and again.

A line is the words of the command as JSON. The answer is the child's process number, and when the child has
ended, its status. Forking saves the imports, which would take longer than the life.
"""

import json
import os
import sys

import capbench.captioners.chat
import capbench.datasets.folder
import capbench.engine  # noqa: F401 -- imported before the forks
from capbench.cli.main import main
from capbench.remote import Client

with Client("http://localhost:1"):  # what a client imports is imported now
    pass


def live(words):
    null = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1):
        os.dup2(null, stream)
    try:
        main(words)
    except SystemExit as ended:
        os._exit(ended.code or 0)


for line in sys.stdin:
    child = os.fork()
    if child == 0:
        live(json.loads(line))
    print(child, flush=True)
    _, status = os.waitpid(child, 0)
    print(os.waitstatus_to_exitcode(status), flush=True)
