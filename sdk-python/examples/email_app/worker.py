"""The worker of the e-mail example: takes jobs of the queue `emails` and sends their mails."""

from __future__ import annotations

import logging
import os
import smtplib

import mails
from smtp import Mailer, SmtpSettings

from jobwire import Client, Discard, Job, Worker

PERMANENT = 500

mailer = Mailer()
worker = Worker(
    Client(),
    queues=["emails"],
    concurrency=int(os.environ.get("WORKER_CONCURRENCY", "4")),
    lease=float(os.environ.get("WORKER_LEASE", "30")),
)


@worker.handler("welcome")
def welcome(job: Job) -> dict[str, str]:
    settings = SmtpSettings.from_environment()
    message = mails.welcome(job.id, settings.sender, job.data["name"], job.data["email"])
    return send(settings, message)


@worker.handler("password-reset")
def password_reset(job: Job) -> dict[str, str]:
    settings = SmtpSettings.from_environment()
    message = mails.password_reset(job.id, settings.sender, job.data["email"], job.data["token"])
    return send(settings, message)


def send(settings: SmtpSettings, message: mails.EmailMessage) -> dict[str, str]:
    """A refusal for good ends the job; everything else is tried again."""
    try:
        mailer.send(settings, message)
    except smtplib.SMTPRecipientsRefused as error:
        if all(code >= PERMANENT for code, _ in error.recipients.values()):
            raise Discard(f"the mail server refused the recipient: {error.recipients}") from error
        raise
    except smtplib.SMTPResponseException as error:
        if error.smtp_code >= PERMANENT:
            raise Discard(f"the mail server refused the mail: {error}") from error
        raise
    return {"message_id": str(message["Message-ID"])}


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(message)s")
    worker.run()
