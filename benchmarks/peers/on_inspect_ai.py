"""inspect-ai: a task with `generate` and `exact`, a model API of ours in process, its usual log file."""

from __future__ import annotations

from inspect_ai import Task
from inspect_ai import eval as run
from inspect_ai.dataset import MemoryDataset, Sample
from inspect_ai.model import ModelAPI, ModelOutput, modelapi
from inspect_ai.scorer import exact
from inspect_ai.solver import generate
from task import CACHE, CONCURRENCY, cases, report, trivial


@modelapi(name="trivial")
class Trivial(ModelAPI):
    async def generate(self, input, tools, tool_choice, config):
        return ModelOutput.from_content("trivial", await trivial(input[-1].text))

    def max_connections(self):
        return CONCURRENCY


samples = [Sample(id=row["id"], input=row["input"], target=row["expected"]) for row in cases()]
task = Task(dataset=MemoryDataset(samples), solver=generate(cache=CACHE), scorer=exact())
[log] = run(
    task,
    model="trivial/m",
    max_connections=CONCURRENCY,
    max_samples=CONCURRENCY,
    display="none",
    log_dir="logs",
)
report(sample.scores["exact"].value in ("C", 1) for sample in log.samples)
