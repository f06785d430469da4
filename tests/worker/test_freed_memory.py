"""Memory that requests have freed stays for the next, and what a model had goes back."""

import platform
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="a setting of glibc")


def test_freed_memory_is_used_again() -> None:
    """Large records come and go without the kernel clearing new pages for each of them."""
    program = (
        "import resource\n"
        "from worker.freed_memory import FreedMemory\n"
        "def faults():\n"
        "    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt\n"
        '    records = [b"x" * 150_000 for _ in range(500)]\n'
        "    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before\n"
        "FreedMemory(128 << 20).keep()\n"
        "print(faults(), [faults() for _ in range(3)][-1])\n"
    )

    first, later = map(int, subprocess.check_output([sys.executable, "-c", program]).split())

    assert first > 1000
    assert later < first / 20


def test_what_an_unload_frees_on_another_threads_heap_goes_back() -> None:
    """The heap of a thread that has loaded a model shrinks only while the C library is told to let it."""
    program = (
        "import sys, threading\n"
        "from pathlib import Path\n"
        "from worker.freed_memory import FreedMemory, GivingLoader\n"
        "BLOCK, COUNT = 100_000, 400\n"
        "def resident():\n"
        '    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096\n'
        "class Model:\n"
        "    servable = None\n"
        "    def load(self):\n"
        '        self.weights = [b"x" * BLOCK for _ in range(COUNT)]\n'
        "    def unload(self):\n"
        "        del self.weights\n"
        "memory = FreedMemory(128 << 20)\n"
        "memory.keep()\n"
        "loader = GivingLoader(Model(), memory) if sys.argv[1] == 'giving' else Model()\n"
        "before = resident()\n"
        "thread = threading.Thread(target=loader.load)\n"
        "thread.start()\n"
        "thread.join()\n"
        "if sys.argv[1] == 'overtaken':\n"
        "    with memory.giving_back():\n"
        "        with memory.giving_back(): pass\n"
        "        loader.unload()\n"
        "else:\n"
        "    loader.unload()\n"
        "print(resident() - before)\n"
    )

    kept, given, overtaken = (
        int(subprocess.check_output([sys.executable, "-c", program, how]))
        for how in ("keeping", "giving", "overtaken")
    )

    assert kept > 20_000_000
    assert given < kept / 4
    assert overtaken < kept / 4, "the end of another unload has ended what this one needs"


def test_threads_share_few_heaps() -> None:
    """What one thread has freed is there for the next, whichever that is."""
    program = (
        "import ctypes, threading\n"
        "from worker.freed_memory import FreedMemory\n"
        "FreedMemory(128 << 20).keep()\n"
        "together = threading.Barrier(8)\n"
        "def work():\n"
        '    kept = [b"x" * 100_000 for _ in range(10)]\n'
        "    together.wait()\n"
        "threads = [threading.Thread(target=work) for _ in range(8)]\n"
        "for thread in threads: thread.start()\n"
        "for thread in threads: thread.join()\n"
        "library = ctypes.CDLL(None)\n"
        "library.malloc_info(0, ctypes.c_void_p.in_dll(library, 'stdout'))\n"
        "library.fflush(None)\n"
    )

    told = subprocess.check_output([sys.executable, "-c", program], text=True)

    assert told.count("<heap nr=") == 2
