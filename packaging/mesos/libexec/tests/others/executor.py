"""An executor on pymesos: ends each task with what it was sent, and answers messages."""

from __future__ import annotations

import sys
import threading
from typing import Any

from pymesos import Executor, MesosExecutorDriver, decode_data, encode_data


class Echo(Executor):
    def launchTask(self, driver: Any, task: dict[str, Any]) -> None:
        # pymesos calls back on the thread that it reads with.
        threading.Thread(target=self.run, args=(driver, task)).start()

    def run(self, driver: Any, task: dict[str, Any]) -> None:
        for state in ("TASK_RUNNING", "TASK_FINISHED"):
            said = decode_data(task["data"]).decode()
            driver.sendStatusUpdate({"task_id": task["task_id"], "state": state, "message": said})

    def frameworkMessage(self, driver: Any, message: str) -> None:
        driver.sendFrameworkMessage(encode_data(decode_data(message)[::-1]))


if __name__ == "__main__":
    print("begun", flush=True)
    MesosExecutorDriver(Echo()).run()
    sys.exit(0)
