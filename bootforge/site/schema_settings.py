"""The schema of settings of an installed system that are maps of their own."""

from __future__ import annotations

from pydantic import Field

from bootforge.site.kinds import Model
from bootforge.site.scalars import User
from bootforge.site.scalars_settings import CronCommand, CronValue, CronVariable, Schedule


class CronSpec(Model):
    """A command that cron starts."""

    schedule: Schedule = Field(
        description="When: minute, hour, day of the month, month, day of the week, as in 30 4 * * sun;"
        " or @reboot, @hourly, @daily, @weekly, @monthly, @yearly."
    )
    user: User = Field("root", description="As whom.")
    command: CronCommand = Field(
        description="What /bin/sh is given, as you would type it: per cent signs are escaped for cron."
    )
    environment: dict[CronVariable, CronValue] = Field(
        {}, description="Variables by name, as in MAILTO. Cron's own PATH is /usr/bin:/bin."
    )
