"""Programs that do little but call functions: ``fib``, and a calculator.

``fib`` is the worst case: its body costs less than any observation of it. The calculator
reads arithmetic character by character, parses it and computes it: small functions, as
many programs are made of.

Prints nanoseconds of CPU time of the whole process, the least and the mean of its repeats. Usage: functions.py MODE DEPTH LINES, where
MODE is plain, viztracer, cprofile, or count, which prints how many Python functions are called.
"""

from __future__ import annotations

import json
import random
import statistics
import sys
import time

from observers import start

REPEATS = 5


def fib(number):
    return number if number < 2 else fib(number - 1) + fib(number - 2)


class Scanner:
    def __init__(self, text):
        self.text = text
        self.at = 0

    def peek(self):
        return self.text[self.at] if self.at < len(self.text) else ""

    def take(self):
        character = self.peek()
        self.at += 1
        return character

    def number(self):
        start = self.at
        while self.peek().isdigit():
            self.at += 1
        return Number(int(self.text[start : self.at]))


class Number:
    def __init__(self, value):
        self.value = value

    def compute(self):
        return self.value


class Binary:
    def __init__(self, operator, left, right):
        self.operator = operator
        self.left = left
        self.right = right

    def compute(self):
        left, right = self.left.compute(), self.right.compute()
        if self.operator == "+":
            return left + right
        if self.operator == "-":
            return left - right
        return left * right


def parse_sum(scanner):
    tree = parse_product(scanner)
    while scanner.peek() in ("+", "-"):
        tree = Binary(scanner.take(), tree, parse_product(scanner))
    return tree


def parse_product(scanner):
    tree = parse_factor(scanner)
    while scanner.peek() == "*":
        tree = Binary(scanner.take(), tree, parse_factor(scanner))
    return tree


def parse_factor(scanner):
    if scanner.peek() == "(":
        scanner.take()
        tree = parse_sum(scanner)
        scanner.take()
        return tree
    return scanner.number()


def calculate(lines):
    return sum(parse_sum(Scanner(line)).compute() for line in lines)


def expressions(number):
    """Return so many lines of arithmetic, the same each time."""
    draw = random.Random(1)
    return ["+".join(f"{draw.randrange(1000)}*({draw.randrange(100)}-{draw.randrange(9)})" for _ in range(5))] * number


def count_calls(function, argument):
    """Return how many Python functions are called."""
    calls = 0

    def count(frame, event, value):
        nonlocal calls
        calls += event == "call"

    sys.setprofile(count)
    function(argument)
    sys.setprofile(None)
    return calls


def main(mode: str, depth: int, number: int) -> None:
    programs = (("fib", fib, depth), ("calculator", calculate, expressions(number)))
    observer = start(mode, entries=10_000_000, ignore_c_function=True)
    figures = {}
    for name, function, argument in programs:
        if mode == "count":
            figures[name] = count_calls(function, argument)
            continue
        times = []
        for _ in range(REPEATS):
            begin = time.process_time_ns()
            function(argument)
            times.append(time.process_time_ns() - begin)
        figures[name] = min(times)
        figures[f"{name} mean"] = statistics.fmean(times)
    del observer
    print(json.dumps(figures))


main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
