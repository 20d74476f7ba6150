"""Started once, forks a capbench for each line of its input: the lives of a run that is killed again and again.

A line is the words of the command as JSON. The answer is the child's process number, and when the child has
ended, its status. Forking saves the imports, which would take longer than the life.
"""

import json
import os
import sys

import capbench.api
import capbench.backends.ptb
import capbench.backends.scenes
import capbench.captioners.chat
import capbench.captioners.command
import capbench.cli.run_command
import capbench.datasets.folder
import capbench.datasets.scenes
import capbench.engine
import capbench.group_tables
import capbench.metrics.bleu
import capbench.metrics.cider
import capbench.metrics.clipscore
import capbench.metrics.retrieval  # noqa: F401 -- all these are imported before the forks
from capbench.cli.main import main
from capbench.remote import Client

with Client("http://localhost:1"):  # what a client imports is imported now
    pass


def live(words):
    os.setsid()  # so that a kill reaches what it has started
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
