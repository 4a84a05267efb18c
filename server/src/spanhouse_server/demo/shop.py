"""The shop that the demo's support desk works for: its help pages, its orders and its tools."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Page:
    """One page of the help centre, as the retriever returns it."""

    id: str
    title: str
    text: str
    updated: str


PAGES = {
    page.id: page
    for page in (
        Page("returns-30-days", "Returning an item", "You can return unused items within 30 days of delivery. Print the label from your order page; returns within the EU are free. Refunds reach your account 3 to 5 working days after the parcel is scanned at our warehouse.", "2026-09-14"),
        Page("refund-timing", "When will I get my refund?", "We refund the original payment method. Card refunds take 3 to 5 working days, bank transfers up to 7. Gift card amounts are returned to the gift card at once.", "2026-10-02"),
        Page("shipping-times", "Shipping times and costs", "Standard delivery takes 2 to 4 working days and is free from 50 EUR. Express orders placed before 14:00 arrive on the next working day for 9.90 EUR.", "2026-10-21"),
        Page("lost-parcel", "My parcel has not arrived", "A parcel counts as lost when tracking has not moved for 7 days. We then send a replacement or refund you, whichever you prefer; you do not have to wait for the carrier's inquiry.", "2026-08-30"),
        Page("warranty", "Warranty and repairs", "All electronics carry a two-year warranty. Batteries are covered for 12 months or 500 charge cycles. Water damage is covered only for products rated IPX7 or better.", "2026-07-05"),
        Page("size-guide-boots", "Size guide: hiking boots", "Our boots run half a size small. Between two sizes take the larger one, and add half a size for thick socks. You can exchange sizes free of charge within 60 days.", "2026-05-19"),
        Page("address-change", "Changing the delivery address", "The address can be changed until the parcel leaves the warehouse. After that, redirect it in the carrier's app; we cannot do it for you.", "2026-09-28"),
        Page("invoice-vat", "Invoices and VAT", "Invoices are under Orders > Documents. For a company invoice add your VAT number before ordering; we can correct an invoice within 14 days.", "2026-06-11"),
        Page("loyalty-points", "Loyalty points", "You collect one point per euro. Points are credited 14 days after delivery and are worth 5 cents each; they expire after 24 months.", "2026-03-02"),
        Page("account-deletion", "Deleting your account", "Under Settings > Privacy you can delete your account. Invoices are kept for ten years as the law requires; everything else is erased within 30 days.", "2026-04-23"),
    )
}  # fmt: skip


@dataclass(frozen=True)
class Tool:
    """A tool of the agent: its definition, and how long it takes in milliseconds."""

    name: str
    description: str
    parameters: dict[str, str]
    low_ms: float
    high_ms: float

    @property
    def definition(self) -> dict[str, Any]:
        """Return the definition as models are offered it."""
        properties = {name: {"type": "string", "description": text} for name, text in self.parameters.items()}
        schema = {"type": "object", "properties": properties, "required": list(self.parameters)}
        return {"type": "function", "name": self.name, "description": self.description, "parameters": schema}


TOOLS = {
    tool.name: tool
    for tool in (
        Tool("look_up_order", "Find an order by its number.", {"order_id": "for example A-20417"}, 18, 60),
        Tool(
            "track_parcel",
            "Ask the carrier where a parcel is.",
            {"tracking_number": "as printed on the label"},
            140,
            520,
        ),
        Tool(
            "start_return",
            "Create a return label for an item.",
            {"order_id": "order", "item": "item", "reason": "why"},
            60,
            150,
        ),
        Tool(
            "issue_refund", "Refund an amount to the customer.", {"order_id": "order", "amount_eur": "amount"}, 90, 240
        ),
        Tool(
            "check_stock", "Tell how many of an item are in stock.", {"sku": "article number", "size": "size"}, 12, 40
        ),
        Tool("open_ticket", "Hand over to a person.", {"team": "which team", "summary": "what to know"}, 25, 70),
    )
}


class CarrierTimeoutError(TimeoutError):
    """The carrier's tracking service does not answer."""

    __module__ = "support_desk"


@dataclass(frozen=True)
class ToolUse:
    """One call of a tool in a scripted turn; ``error`` is raised instead of returning ``result``."""

    name: str
    arguments: dict[str, Any]
    result: Any = None
    error: str = ""


@dataclass(frozen=True)
class Turn:
    """What a customer writes and how the desk deals with it."""

    question: str
    intent: str
    pages: tuple[str, ...]
    answer: str
    tools: tuple[ToolUse, ...] = ()
    #: What the first model does before it answers: "", "overloaded" (falls back) or "down" (the turn fails).
    trouble: str = ""
    feedback: str = ""
    comment: str = ""


@dataclass(frozen=True)
class Conversation:
    """A customer's visit: several turns about one matter."""

    user: str
    channel: str
    locale: str
    plan: str
    turns: tuple[Turn, ...]
    tags: tuple[str, ...] = ()
    model: str = "gpt-4o-mini"
    metadata: dict[str, Any] = field(default_factory=dict)
