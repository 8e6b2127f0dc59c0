"""Sending over SMTP: settings from the environment, one kept connection a thread."""

from __future__ import annotations

import os
import smtplib
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from email.message import EmailMessage

TIMEOUT = 30.0


class SettingsMissingError(Exception):
    """Names what the environment lacks; fails the job, and whoever mends it retries the job."""


@dataclass(frozen=True)
class SmtpSettings:
    host: str
    port: int
    username: str | None
    password: str | None
    starttls: bool
    sender: str

    @classmethod
    def from_environment(cls) -> SmtpSettings:
        """Raises SettingsMissingError, with the names of all variables that are missing."""
        missing = [name for name in ("SMTP_HOST", "MAIL_FROM") if not os.environ.get(name)]
        if missing:
            raise SettingsMissingError(f"set {' and '.join(missing)} in the worker's environment")
        username = os.environ.get("SMTP_USERNAME") or None
        return cls(
            host=os.environ["SMTP_HOST"],
            port=int(os.environ.get("SMTP_PORT", "587")),
            username=username,
            password=os.environ.get("SMTP_PASSWORD") or None,
            starttls=os.environ.get("SMTP_STARTTLS", "on" if username else "off") == "on",
            sender=os.environ["MAIL_FROM"],
        )


class Mailer:
    """Sends messages; every thread keeps a connection of its own and makes a new one when it broke."""

    def __init__(self) -> None:
        self._local = threading.local()

    def send(self, settings: SmtpSettings, message: EmailMessage) -> None:
        """Raises smtplib.SMTPException or OSError; the connection is then given up."""
        try:
            self._connection(settings).send_message(message)
        except (smtplib.SMTPException, OSError):
            self._drop()
            raise

    def _connection(self, settings: SmtpSettings) -> smtplib.SMTP:
        smtp: smtplib.SMTP | None = getattr(self._local, "smtp", None)
        if smtp is not None and _is_alive(smtp):
            return smtp
        smtp = smtplib.SMTP(settings.host, settings.port, timeout=TIMEOUT)
        if settings.starttls:
            smtp.starttls()
        if settings.username:
            smtp.login(settings.username, settings.password or "")
        self._local.smtp = smtp
        return smtp

    def _drop(self) -> None:
        smtp: smtplib.SMTP | None = getattr(self._local, "smtp", None)
        self._local.smtp = None
        if smtp is not None:
            smtp.close()


def _is_alive(smtp: smtplib.SMTP) -> bool:
    try:
        return smtp.noop()[0] == 250
    except (smtplib.SMTPException, OSError):
        return False
