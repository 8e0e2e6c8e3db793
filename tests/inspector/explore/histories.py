"""Histories to read, made on the simulated machine. `python -m` this writes the committed one again:

PYTHONPATH=. python -m tests.inspector.explore.histories
"""

from __future__ import annotations

from pathlib import Path

from sim_backend.layout.config import DeviceConfig, DomainConfig, LayoutConfig
from sim_backend.logic.versions import CURRENT
from sim_backend.machine.environment import Move
from sim_backend.machine.history import History, started
from sim_backend.memory.errors import SimError
from sim_backend.scenario.scenario import Scenario

COMMITTED = Path(__file__).with_name("stranded.json")


class Maker:
    """A machine whose moves are noted."""

    def __init__(self, scenario, version=CURRENT, store_buffers=False):
        self.machine = started(scenario, version, store_buffers)
        self.about = scenario, version, store_buffers
        self.moves = []

    def do(self, turn=None, order=None, *arguments):
        move = Move(turn, order, arguments)
        event = self.machine.perform(move)
        self.moves.append(move)
        return event

    def order(self, order, *arguments):
        self.do(None, order, *arguments)

    def one_by_one(self, most=1000):
        """Everybody who can moves once, in turn, until nobody can; at most so many moves."""
        end = len(self.moves) + most
        while True:
            count = len(self.moves)
            for actor in self.machine.actors:
                if len(self.moves) == end or self.machine.crashed:
                    return
                try:
                    self.do(actor.name)
                except SimError:
                    continue
            if len(self.moves) == count:
                return

    def history(self, property, why):
        scenario, version, store_buffers = self.about
        return History(scenario, version, tuple(self.moves), property, why, store_buffers)


def machine(cpus, vcpus, vectors=1):
    domains, devices = (DomainConfig(1, vcpus),), (DeviceConfig(0x18, vectors, 1),)
    return Scenario("example", "An example", LayoutConfig(cpus=cpus, domains=domains, devices=devices))


def stranded():
    """d1v0 is preempted; its device posts while SN suppresses notifications; it runs again, and nothing tells it."""
    made = Maker(machine(cpus=1, vcpus=2))
    assert made.machine.vcpu("d1v0") in made.machine.state.scheduled
    made.order("preempt", "d1v0")
    made.one_by_one()
    made.order("post", "00:03.0", 0)
    made.one_by_one()
    made.order("preempt", "d1v1")
    made.one_by_one()
    return made.history("no stranded interrupt", "d1v0 is in the guest with vector 0x30 in PIR, ON and SN clear")


def woken():
    """Two vCPUs block, each on its CPU, at the same time; a post wakes one of them."""
    made = Maker(machine(cpus=2, vcpus=2, vectors=2))
    made.order("block", "d1v0")
    made.order("block", "d1v1")
    made.one_by_one()
    made.order("post", "00:03.0", 1)
    made.one_by_one()
    return made.history("sometimes a wake-up", None)


def leaving():
    """A CPU goes offline while its vCPU is blocked there, and the toolstack and a unit are at work."""
    made = Maker(machine(cpus=3, vcpus=3))
    made.order("block", "d1v1")
    made.one_by_one()
    made.order("offline", 1)
    made.order("deassign", "00:03.0")
    made.one_by_one()
    return made.history(None, None)


def buffered():
    """As `woken`, on one CPU that has a store buffer."""
    made = Maker(machine(cpus=1, vcpus=1), store_buffers=True)
    made.order("block", "d1v0")
    made.one_by_one()
    return made.history("an example", None)


def crashed():
    """The list of CPU 0 has been written over."""
    made = Maker(machine(cpus=1, vcpus=1))
    made.order("destroy_domain", 1)
    made.one_by_one()
    return made.history("nothing crashes", "somebody does")


MAKERS = {maker.__name__: maker for maker in (stranded, woken, leaving, buffered, crashed)}

if __name__ == "__main__":
    stranded().write(COMMITTED)
