"""Where the parts of a dataset are built: single-threaded processes under Dask."""

from __future__ import annotations

import logging
import os
from typing import Any

import dask
from prefect_dask import DaskTaskRunner
from pydantic import BaseModel, ConfigDict, Field, model_validator

from simgen.build.workers import SETTINGS


class Cluster(BaseModel):
    """A local cluster by default; a running scheduler or any cluster class instead."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    workers: int = Field(0, ge=0, description="local processes; 0 means one a core")
    scheduler: str | None = Field(None, description="a running scheduler, e.g. tcp://10.0.0.5:8786")
    cluster_class: str | None = Field(None, description="e.g. dask_kubernetes.operator.KubeCluster")
    cluster_kwargs: dict[str, Any] = Field({}, description="arguments of the cluster class")
    adapt_kwargs: dict[str, Any] = Field({}, description="e.g. {'minimum': 0, 'maximum': 64}")

    @model_validator(mode="after")
    def one_place(self) -> Cluster:
        if self.scheduler and (self.cluster_class or self.cluster_kwargs or self.adapt_kwargs):
            raise ValueError("give scheduler (it runs already) or cluster_class, not both")
        return self

    @property
    def slots(self) -> int:
        """How many groups run at a time, as far as it is known before the cluster is up."""
        return self.workers or os.cpu_count() or 1

    def runner(self) -> DaskTaskRunner:
        """A fresh task runner; the cluster starts with the flow that uses it and ends with it."""
        dask.config.set(SETTINGS)
        if self.scheduler:
            return DaskTaskRunner(address=self.scheduler)
        if self.cluster_class:
            return DaskTaskRunner(
                cluster_class=self.cluster_class,
                cluster_kwargs=self.cluster_kwargs,
                adapt_kwargs=self.adapt_kwargs,
            )
        local = {
            "n_workers": self.slots,
            "threads_per_worker": 1,
            "processes": True,
            "dashboard_address": "127.0.0.1:0",  # None warns when port 8787 is taken
            "memory_limit": 0,
            "silence_logs": logging.CRITICAL,
            **self.cluster_kwargs,
        }
        return DaskTaskRunner(
            cluster_class="distributed.LocalCluster",
            cluster_kwargs=local,
            adapt_kwargs=self.adapt_kwargs,
        )
