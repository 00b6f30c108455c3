#!/usr/bin/env python3
"""The solver that halmos asks: yices, and after a second without an answer cvc5 beside it; the first answer counts.

    smt.py QUERY.smt2

yices blasts bits, which is quick on masks, storage slots and hashes. cvc5 reads bit vectors as integers, which decides products and
quotients of 256-bit words by algebra in a fraction of a second where bit blasting does not end. Both translations are complete: an
`unsat` of either is a proof, a `sat` comes with a model that halmos shows.
"""
import signal
import subprocess
import sys
import threading
from pathlib import Path

HEAD_START = 1.0  # seconds; most queries need hundredths of it


def ask_cvc5(path):
    import cvc5

    terms = cvc5.TermManager()
    solver = cvc5.Solver(terms)
    solver.setOption("produce-models", "true")
    solver.setOption("solve-bv-as-int", "sum")
    parser = cvc5.InputParser(solver)
    parser.setFileInput(cvc5.InputLanguage.SMT_LIB_2_6, path)
    symbols = parser.getSymbolManager()
    while not (command := parser.nextCommand()).isNull():
        said = str(command.invoke(solver, symbols))
        print(said, end="", flush=True)
        if said.strip() == "unsat":
            return


def first_answer(path):
    yices = Path(sys.executable).with_name("yices-smt2")
    asked, answered, answers = [], threading.Event(), []

    def ask(command):
        one = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        asked.append(one)

        def wait():
            said = one.communicate()[0]
            if said.startswith(("sat", "unsat")):
                answers.append(said)
                answered.set()
            elif len(asked) == 2 and all(other.poll() is not None for other in asked):
                answered.set()

        threading.Thread(target=wait, daemon=True).start()

    def stop(*_):
        for one in asked:
            one.kill()

    signal.signal(signal.SIGTERM, lambda *_: (stop(), sys.exit(1)))
    ask([str(yices), "--smt2-model-format", "--bvconst-in-decimal", path])
    if not answered.wait(HEAD_START):
        ask([sys.executable, __file__, "--cvc5", path])
        answered.wait()
    print(answers[0] if answers else "unknown", end="", flush=True)
    stop()


if sys.argv[1] == "--cvc5":
    ask_cvc5(sys.argv[2])
else:
    first_answer(sys.argv[1])
