"""The firmware's log: in MicroPython's interpreter that has micropython-lib's logging frozen in."""

import io
import sys
import unittest

import log


class LogTest(unittest.TestCase):
    def test_lines(self):
        log.info("it starts")
        log.error("it is hot")

    def test_logging_is_the_libs_own(self):
        self.assertTrue(log.logging is not None)
        self.assertEqual(log.logging.getLogger("controller").getEffectiveLevel(), log.logging.INFO)


class PlainTest(unittest.TestCase):
    def test_without_it(self):
        kept = log.logging
        log.logging = None
        try:
            log.info("it starts plainly")
            log.error("it is hot plainly")
        finally:
            log.logging = kept


if sys.implementation.name != "micropython":

    class PrintedTest(unittest.TestCase):
        def test_plain_lines(self):
            kept, log.logging = log.logging, None
            stdout, sys.stdout = sys.stdout, io.StringIO()
            try:
                log.info("a")
                log.error("b")
                printed = sys.stdout.getvalue()
            finally:
                log.logging, sys.stdout = kept, stdout
            self.assertEqual(printed, "a\nerror: b\n")
