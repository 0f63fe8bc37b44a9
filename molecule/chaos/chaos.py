"""Rounds of disasters on a lab that runs.

    python molecule/chaos/chaos.py --inventory inventory/lab-ha --rounds 20 --seed 7 --faults partition

Prints a table, a line for each round as it ends, and exits with 1 when a round has failed, with 2 when
something could not be healed, with 130 when it was interrupted.
"""

from __future__ import annotations

import argparse
import signal
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "shared"))

from chaos_changes import CHANGES
from chaos_deploy import DEPLOYMENTS, deploy
from chaos_draw import draw
from chaos_faults import FAULTS
from chaos_judge import Wanted
from chaos_leftovers import ephemeral_nodes, grown
from chaos_observer import Observer
from chaos_right import until_right
from chaos_rounds import Round, UnhealedError, live_through, say
from chaos_table import HEADER, row, summary
from lab_inventory import CommandError, Interrupted, Lab
from lab_usage import usage

COUNT = 6
FAILED, UNHEALED, INTERRUPTED = 1, 2, 130


def names(text: str) -> list[str]:
    """Return the names in a list with commas; when it is empty, all faults and deployments that are quick."""
    known = [*FAULTS, *DEPLOYMENTS, *CHANGES]
    chosen = [name.strip() for name in text.split(",") if name.strip()]
    unknown = [name for name in chosen if name not in known]
    if unknown:
        raise argparse.ArgumentTypeError(f"no faults: {', '.join(unknown)}. There are: {', '.join(known)}")
    return chosen or [*FAULTS, *DEPLOYMENTS]


def arguments() -> argparse.Namespace:
    """Return what the command line says."""
    parser = argparse.ArgumentParser(description="Rounds of disasters on a lab that runs.")
    parser.add_argument(
        "--inventory", type=Path, required=True, action="append", help="the lab's; several as for Ansible"
    )
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--seed", type=int, default=1, help="of the first round; each has the next one")
    parser.add_argument(
        "--faults",
        type=names,
        default="",
        help="names with commas between; without, all but those that change the cluster",
    )
    return parser.parse_args()


def main() -> int:
    """Live through the rounds; returns the exit status."""
    chosen = arguments()
    lab = Lab(*(inventory.resolve() for inventory in chosen.inventory))
    for ending in (signal.SIGINT, signal.SIGTERM):
        signal.signal(ending, lambda *_: lab.interrupted.set())
    faults = {name: FAULTS[name].places for name in chosen.faults if name in FAULTS}
    deployments = [name for name in chosen.faults if name in DEPLOYMENTS]
    changes = [name for name in chosen.faults if name in CHANGES]
    wanted = Wanted(lab.image, COUNT)
    rounds: list[Round] = []
    for name in changes:
        try:
            with CHANGES[name](lab):
                pass
        except LookupError as error:
            say(f"{name}: {error}")
            return FAILED
    with Observer({slave: lab.addresses[slave] for slave in lab.slaves}) as observer:
        try:
            for package in sorted({FAULTS[name].package for name in faults} - {""}):
                lab.install(package)
            say(f"deploying {wanted.count} of {wanted.image}")
            status, output = deploy(lab, wanted)
            seconds, sentences = until_right(lab, observer, wanted)
            if status != 0 or seconds is None:
                say("\n".join(["The lab is not right to begin with:", *sentences, output]))
                return FAILED
            ephemeral, first = ephemeral_nodes(lab), usage(lab)
            print(HEADER, flush=True)
            for number in range(chosen.rounds):
                drawn = draw(chosen.seed + number, faults, deployments, changes)
                say(f"round {number + 1}, seed {drawn.seed}")
                lived = live_through(lab, observer, drawn, wanted, ephemeral)
                if number == chosen.rounds - 1 and lived.verdict.seconds is not None:
                    lived.verdict.problems += [f"left over: {what}" for what in grown(first, usage(lab))]
                rounds.append(lived)
                wanted = lived.wanted
                print(row(number + 1, drawn.seed, lived), flush=True)
                if lived.verdict.seconds is None:
                    say("The lab is not right any more: no further rounds.")
                    break
        except Interrupted:
            say(
                "interrupted; what was injected is healed"
                + (f", and `make lab LAB={lab.inventories[0]}` ends what was begun" if changes else "")
            )
            return INTERRUPTED
        except CommandError as error:
            say(str(error))
            return FAILED
        except UnhealedError as error:
            say(f"could not heal:\n{error}")
            return UNHEALED
        finally:
            print(summary(rounds), flush=True)
    return FAILED if any(lived.verdict.problems for lived in rounds) else 0


if __name__ == "__main__":
    sys.exit(main())
