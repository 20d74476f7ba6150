"""What Ray makes is what this process makes: captions and vectors, on one node, on a cluster, and after a node is lost."""

from __future__ import annotations

import json
import threading
import time

import pytest

import capbench
from capbench import api, engine, plugins
from capbench.captioning import from_session
from capbench.errors import CapbenchError
from capbench.needs import Captions, Images, Vectors
from capbench.types import Generation, ImageRef, Request

pytestmark = [pytest.mark.torch, pytest.mark.slow, pytest.mark.filterwarnings("default")]  # Ray warns of much itself

# Says what it was asked, so that a caption that lands at another id shows.
CAPTIONER = """
import os, pathlib, time
from contextlib import contextmanager
from dataclasses import dataclass
from capbench.images import load
from capbench.types import Failure


@dataclass(frozen=True)
class Teller:
    name = "teller"
    seconds: float = 0.0
    batch: int = 4
    log: str = ""
    fault: str = ""

    def fingerprint(self):
        return "teller@1"

    def check(self):
        return None

    @contextmanager
    def open(self, device):
        if self.fault == "open":
            raise ValueError("no such weights")
        if self.log:
            self.wait_for_the_other_node()
        yield self

    def wait_for_the_other_node(self):
        # however slowly a node starts, none has done all before the other begins
        import ray

        if not ray.is_initialized():
            return
        opened, until = pathlib.Path(self.log + ".opened"), time.monotonic() + 100
        with opened.open("a") as log:
            log.write(ray.get_runtime_context().get_node_id() + "\\n")
        while len(set(opened.read_text().split())) < 2 and time.monotonic() < until:
            time.sleep(0.1)

    def caption(self, requests, params):
        import ray

        time.sleep(self.seconds)
        if self.log and ray.is_initialized():
            node = ray.get_runtime_context().get_node_id()
            with pathlib.Path(self.log).open("a") as log:
                log.write(f"{node} {device_of(params)} {requests[0].id}\\n")
        if self.fault == "every":
            raise RuntimeError("it never works")
        if any(r.id == self.fault for r in requests):
            if len(requests) > 1:
                raise RuntimeError("one of these")
            return [Failure("not this one")]
        if self.fault == "die" and requests[0].sample == 0 and ray.is_initialized():
            os._exit(7)
        return [f"{r.id} sample {r.sample} seed {params.seed} {load(r.image).size if r.image else None}" for r in requests]


def device_of(params):
    return os.environ.get("CUDA_VISIBLE_DEVICES", "-") or "-"
"""


@pytest.fixture(scope="module")
def ray():
    return pytest.importorskip("ray", reason="pip install 'capbench[ray]'")


@pytest.fixture
def teller(tmp_path):
    (tmp_path / "teller.py").write_text(CAPTIONER)
    return lambda **params: f"{tmp_path}/teller.py:Teller({', '.join(f'{k}={v!r}' for k, v in params.items())})"


@pytest.fixture
def cluster(ray):
    """cluster(cpus) -> a head with so many processors; nodes are added by the test. later: the executor connects."""
    from ray.cluster_utils import Cluster

    made = []

    def make(cpus, later=False, **more):
        made.append(
            Cluster(initialize_head=True, head_node_args={"num_cpus": cpus, "include_dashboard": False, **more})
        )
        if not later:
            ray.init(address=made[0].address, log_to_driver=False, logging_level="ERROR")
        return made[0]

    yield make
    ray.shutdown()
    for one in made:
        one.shutdown()


@pytest.fixture(scope="class")
def two(ray):
    """A node of two processors for all tests of a class: a cluster takes seconds to start."""
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    yield
    ray.shutdown()


def plain(captions):
    return [(c.id, c.sample, c.text, c.status, c.reason) for c in captions]


def test_a_run_from_the_command_line_is_the_same_to_the_byte(ray, teller, tmp_path, capfd, monkeypatch):
    from capbench.cli.main import main

    monkeypatch.chdir(tmp_path)
    words = [
        "run",
        teller(fault="scene-00004"),
        "-b",
        "scenes(n=14)",
        "-m",
        "bleu",
        "-m",
        "clipscore",
        "--samples",
        "2",
    ]
    words += ["--backend", "clip=scenes", "--max-missing", "1"]
    for executor in ("local", "ray"):
        monkeypatch.setenv("CAPBENCH_CACHE", str(tmp_path / f"cache-{executor}"))
        with pytest.raises(SystemExit) as stop:
            main([*words, "--runs", executor, "--executor", executor, "--json"])
        assert not stop.value.code
        out = capfd.readouterr().out
        assert json.loads(out)["scores"][0]["n"] > 0
    (local,), (remote,) = ((list((tmp_path / kind).rglob("captions.jsonl"))) for kind in ("local", "ray"))
    timeless = [
        [dict(json.loads(line), seconds=0) for line in path.read_text().splitlines()] for path in (local, remote)
    ]
    by_key = [{(row["id"], row["sample"]): row for row in rows} for rows in timeless]
    assert by_key[0] == by_key[1]
    assert len(by_key[0]) == 28
    assert by_key[1]["scene-00004", 0]["reason"] == "not this one"
    for name in ("scores.parquet", "summary.json"):
        assert (local.parent / name).read_bytes() == (remote.parent / name).read_bytes()
    assert json.loads((remote.parent / "run.json").read_text())["circumstance"]["executor"].startswith("ray")
    assert not ray.is_initialized()


def requests(n):
    return [Request(f"id-{k}", None, (), 0) for k in range(n)]


def both(spec, asked, executor, device="cpu", alone=""):
    """alone: the captioner of the local run, where the other one watches which nodes work."""
    captioner = plugins.load("captioners", spec).value
    kept = []
    local = from_session(
        plugins.load("captioners", alone or spec).value, asked, Generation(seed=5), device, lambda _: None
    )
    remote = executor.caption(captioner, asked, Generation(seed=5), device, kept.extend)
    assert sorted(plain(kept)) == sorted(plain(remote))
    assert plain(remote) == plain(local)


def nodes_of(log):
    return [line.split()[0] for line in log.read_text().splitlines()] if log.exists() else []


def kill_when_both_have_answered(cluster, node, log):
    """A thread that removes a node in mid-run, and the list in which it says after how many batches."""
    done = []

    def kill():
        until = time.monotonic() + 120
        while len(set(nodes_of(log))) < 2 and time.monotonic() < until:
            time.sleep(0.05)
        done.append(len(nodes_of(log)))
        cluster.remove_node(node, allow_graceful=False)

    watch = threading.Thread(target=kill, daemon=True)
    watch.start()
    return watch, done


def test_a_node_that_is_lost_in_mid_run_costs_nothing(ray, cluster, teller, tmp_path):
    """Two nodes with a model each, beside the head; one is killed when both have answered."""
    made = cluster(0)
    first, _ = made.add_node(num_cpus=1), made.add_node(num_cpus=1)
    made.wait_for_nodes()
    log = tmp_path / "log"
    watch, killed = kill_when_both_have_answered(made, first, log)
    both(teller(seconds=0.1, log=str(log)), requests(240), api.Ray(workers=2), alone=teller())
    watch.join(5)
    assert killed[0] < 60  # of 60 batches
    assert len([node for node in ray.nodes() if node["Alive"]]) == 2
    after = nodes_of(log)[killed[0] + 4 :]
    assert len(set(after)) == 1  # the other node did the rest


def test_a_gpu_that_is_lost_is_not_waited_for(cluster, teller, tmp_path):
    made = cluster(1, later=True)
    first, _ = made.add_node(num_cpus=1, num_gpus=1), made.add_node(num_cpus=1, num_gpus=1)
    made.wait_for_nodes()
    log = tmp_path / "log"
    watch, _ = kill_when_both_have_answered(made, first, log)
    both(teller(seconds=0.1, log=str(log)), requests(240), api.Ray(made.address), device="cuda:0", alone=teller())
    watch.join(5)
    assert len(set(nodes_of(log))) == 2
    assert all(line.split()[1] != "-" for line in log.read_text().splitlines())  # each saw a GPU of its own


def test_one_processor_and_more_workers_than_it_has(cluster, teller):
    cluster(1)
    both(teller(), requests(30), api.Ray(workers=4))


@pytest.mark.usefixtures("two")
class TestOnOneNode:
    def test_vectors_are_equal(self):
        """Photographs are not at hand everywhere: drawn pictures by two encoders."""
        samples = plugins.load("datasets", "scenes(n=40)").value.load()
        items = [s.image for s in samples] + [ImageRef("nowhere.png", "0" * 32)]
        texts = ["a red square", "", "\ud800 x"]
        asked = (("scenes()", Images(), items), ("mini()", Images(), items), ("mini()", Captions(), texts))
        for spec, source, values in asked:
            backend, need = plugins.load("backends", spec).value, Vectors(source, spec)
            with backend.open("cpu") as session:
                local = list(need.compute(session, values))
            answers = api.Ray(workers=2).compute(backend, need, values, "cpu")
            made = {i: v for which, part in answers for i, v in zip(which, part, strict=True)}
            for i, value in enumerate(local):
                assert type(made[i]) is type(value)
                assert made[i] == value if not hasattr(value, "values") else need.pack(made[i]) == need.pack(value)
            assert len(made) == len(local)

    def test_what_fails_locally_fails_the_same_way(self, teller):
        executor = api.Ray(workers=2)
        for fault, words in (
            ("every", "failed on every item: RuntimeError: it never works"),
            ("open", "no such weights"),
        ):
            captioner = plugins.load("captioners", teller(fault=fault)).value
            errors = []
            for caption in (from_session, executor.caption):
                with pytest.raises((CapbenchError, ValueError), match=words) as error:
                    caption(captioner, requests(9), Generation(), "cpu", lambda _: None)
                errors.append((error.type, str(error.value)))
            assert errors[0] == errors[1]

    def test_a_batch_that_kills_its_actor_ends_the_run_and_loses_nothing_else(self, teller, monkeypatch):
        monkeypatch.setattr("capbench.ray_executor.RESTARTS", 1)
        monkeypatch.setattr("capbench.ray_executor.ATTEMPTS", 2)
        captioner = plugins.load("captioners", teller(fault="die", seconds=0.1)).value
        asked = [Request("bad", None, (), 0), *(Request(f"id-{k}", None, (), 1) for k in range(12))]
        kept = []
        with pytest.raises(CapbenchError, match="Ray failed with 1 of 4 batches to do"):
            api.Ray(workers=1).caption(captioner, asked, Generation(), "cpu", kept.extend)
        assert len(kept) == 12

    def test_a_run_that_was_cut_short_goes_on_with_ray(self, teller, tmp_path):
        job = api.job_of(teller(), "scenes(n=21)", ["bleu"], runs=tmp_path / "runs", executor=api.Ray(workers=2))
        plan = engine.plan(job)
        result = engine.run(plan)
        captions = plan.folder / "captions.jsonl"
        lines = captions.read_text().splitlines(keepends=True)
        captions.write_text("".join(lines[:10]))
        (plan.folder / "run.json").write_text(
            (plan.folder / "run.json").read_text().replace('"finished",', '"started",', 1)
        )
        again = engine.run(engine.plan(job))
        assert again.captioned == 11
        assert plain(again.run.captions) == plain(result.run.captions)


def test_no_cluster_is_said_so(ray, teller):
    with pytest.raises(CapbenchError, match=r"cannot reach the Ray cluster 127\.0\.0\.1:1"):
        capbench.run(teller(), "scenes(n=7)", ["bleu"], runs=None, executor=capbench.Ray("127.0.0.1:1"))
