"""A Spark cluster on 127.0.0.1 for tests: a master and two workers, each a Java process of its own."""

import os
import pathlib
import subprocess

from preprocessing.sharding import spark_engine
from tests.preprocessing.sharding import processes


class SparkCluster:
    """Attributes: master: name of the cluster for --runner. processes: list of subprocess.Popen, the master first."""

    def __init__(self, folder):
        """Starts the processes in `folder`, which has no program of ours, and waits until they know each other."""
        import pyspark

        self.folder, self.program = folder, os.path.join(os.path.dirname(pyspark.__file__), "bin", "spark-class")
        (folder / "java").mkdir(parents=True)
        self.environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
        self.environment |= spark_engine.environment(str(folder / "java"))
        self.environment |= {"SPARK_LOCAL_IP": "127.0.0.1", "SPARK_WORKER_DIR": str(folder / "work")}
        port = processes.free_port()
        self.master = f"spark://127.0.0.1:{port}"
        self.processes = []
        self._start("master.Master", "--port", str(port))
        for _ in range(2):
            self._start("worker.Worker", "--cores", "1", "--memory", "1g", self.master)
        log = pathlib.Path(folder / "log.txt")
        try:
            processes.wait_until(lambda: log.read_text().count("Successfully registered with master") == 2)
        except BaseException:
            self.close()
            raise

    def _start(self, name, *arguments):
        with open(self.folder / "log.txt", "ab") as log:
            words = [f"org.apache.spark.deploy.{name}", "--host", "127.0.0.1", "--webui-port", "0", *arguments]
            self.processes.append(
                subprocess.Popen([self.program, *words], cwd=self.folder, env=self.environment, stdout=log, stderr=log)
            )

    def close(self):
        """Ends all processes."""
        for process in self.processes:
            process.kill()
            process.wait()
