"""The mails, as MIME messages: a subject and a text and an HTML body, in whatever script the names are."""

from __future__ import annotations

from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import formatdate
from html import escape

WELCOME = "Welcome, {name}!\n\nGood to have you here.\n"
RESET = "Someone asked for a new password for {email}.\n\nIf it was you: https://app.example.com/reset/{token}\n"


def welcome(job_id: str, sender: str, name: str, email: str) -> EmailMessage:
    """The mail after a signup."""
    return _message(
        job_id, sender, _address(email, name), f"Welcome, {name}", WELCOME.format(name=name)
    )


def password_reset(job_id: str, sender: str, email: str, token: str) -> EmailMessage:
    """The mail with the link to a new password."""
    text = RESET.format(email=email, token=token)
    return _message(job_id, sender, _address(email), "Your new password", text)


def _address(email: str, name: str = "") -> Address:
    user, _, domain = email.rpartition("@")
    return Address(display_name=name, username=user, domain=domain)


def _message(job_id: str, sender: str, to: Address, subject: str, text: str) -> EmailMessage:
    message = EmailMessage(policy=SMTP.clone(cte_type="7bit"))
    message["Message-ID"] = f"<{job_id}@jobwire.example>"
    message["Date"] = formatdate()
    message["From"] = sender
    message["To"] = to
    message["Subject"] = subject
    message.set_content(text)
    message.add_alternative(f"<p>{escape(text)}</p>", subtype="html")
    return message
