"""What customers of the demo's shop write, and what they are answered."""

from __future__ import annotations

from spanhouse_server.demo.shop import Conversation, ToolUse, Turn

CONVERSATIONS: tuple[Conversation, ...] = (
    Conversation(
        "ines.almeida", "chat", "en", "member",
        (
            Turn(
                "Hi, where is my order A-20417? It was supposed to be here on Tuesday.",
                "order_status", ("shipping-times", "lost-parcel"),
                "Order A-20417 left our warehouse on Monday and reached the Lisbon depot this morning at 07:40. It is on the van and should be with you today before 18:00.",
                (
                    ToolUse("look_up_order", {"order_id": "A-20417"}, {"status": "shipped", "tracking_number": "PT88213", "items": ["Tarn 45 backpack"]}),
                    ToolUse("track_parcel", {"tracking_number": "PT88213"}, {"state": "out_for_delivery", "depot": "Lisbon", "scanned_at": "07:40"}),
                ),
            ),
            Turn(
                "Great. If nobody is at home, can the driver leave it with my neighbour?",
                "order_status", ("address-change",),
                "Since the parcel is already with the carrier, we cannot change that from here, but you can: open the carrier's app with tracking number PT88213 and choose \"leave with a neighbour\". That works until the driver is at your door.",
            ),
            Turn(
                "Found it, thank you!",
                "order_status", ("shipping-times",),
                "You're welcome, Ines. Enjoy the Tarn 45!",
                feedback="up", comment="Quick and clear.",
            ),
        ),
        model="claude-sonnet-4-5",
    ),
    Conversation(
        "jonas.weber", "email", "en", "guest",
        (
            Turn(
                "The zip of the rain jacket from order A-19980 broke after two weeks. I want my money back.",
                "refund", ("returns-30-days", "warranty", "refund-timing"),
                "I'm sorry about the zip, Jonas. For order A-19980 I have created a free return label; it is in your inbox. As soon as the jacket is scanned at our warehouse we refund 129.00 EUR to your card, which takes 3 to 5 working days.",
                (
                    ToolUse("look_up_order", {"order_id": "A-19980"}, {"status": "delivered", "delivered_on": "2026-11-06", "items": [{"name": "Skur rain jacket", "price_eur": 129.0}]}),
                    ToolUse("start_return", {"order_id": "A-19980", "item": "Skur rain jacket", "reason": "broken zip"}, {"label_id": "R-5521", "sent_to": "customer"}),
                ),
                feedback="up",
            ),
            Turn(
                "Could you send a new one instead? I need it for a trip on Saturday.",
                "return", ("shipping-times", "returns-30-days"),
                "Yes: the Skur jacket is in stock in your size (L). If you place a new order with express delivery before 14:00 today, it arrives tomorrow, and I have noted on return R-5521 that the express fee is to be refunded with it.",
                (ToolUse("check_stock", {"sku": "SKUR-BLK", "size": "L"}, {"in_stock": 14, "warehouse": "Malmö"}),),
            ),
        ),
        tags=("warranty",),
    ),
    Conversation(
        "amara.okafor", "chat", "en", "member",
        (
            Turn(
                "My parcel has been stuck in \"in transit\" for nine days. Tracking number DE40077.",
                "complaint", ("lost-parcel", "refund-timing"),
                "That is too long, and I'm sorry. The carrier's tracking service is not answering at the moment, so I cannot see the last scan myself, but nine days without movement counts as lost with us. You don't have to wait: would you like a replacement or your money back?",
                (ToolUse("track_parcel", {"tracking_number": "DE40077"}, error="carrier API did not answer within 5 s (GET /v2/parcels/DE40077)"),),
            ),
            Turn(
                "A refund please. It was 64.50.",
                "refund", ("refund-timing",),
                "Done: 64.50 EUR are on their way to the card you paid with, and should be there within 3 to 5 working days. If the parcel does turn up, you can simply refuse it.",
                (ToolUse("issue_refund", {"order_id": "A-20102", "amount_eur": "64.50"}, {"refund_id": "F-8812", "state": "accepted"}),),
                feedback="up", comment="No arguing, just solved. Thanks.",
            ),
        ),
        tags=("vip",),
    ),
    Conversation(
        "lukas.novak", "chat", "en", "guest",
        (
            Turn(
                "Which size should I take for the Grat hiking boots? I wear 43 in sneakers and 43.5 in other boots.",
                "product", ("size-guide-boots", "returns-30-days"),
                "Take the 44. The Grat runs half a size small, so your usual 43.5 becomes a 44, and with thick socks you will be glad of the room. If it doesn't fit, you can exchange it free of charge within 60 days.",
                feedback="up",
            ),
            Turn(
                "Do you have the 44 in dark brown?",
                "product", ("size-guide-boots",),
                "Yes, there are 3 pairs of the Grat in dark brown, size 44, ready to ship today.",
                (ToolUse("check_stock", {"sku": "GRAT-BRN", "size": "44"}, {"in_stock": 3, "warehouse": "Malmö"}),),
            ),
        ),
    ),
    Conversation(
        "sofia.rossi", "chat", "it", "member",
        (
            Turn(
                "Buongiorno, posso avere una fattura con partita IVA per l'ordine A-20233?",
                "account", ("invoice-vat",),
                "Buongiorno Sofia, per l'ordine A-20233 possiamo correggere la fattura entro 14 giorni, quindi fino al 2 dicembre. Mi scriva la ragione sociale e la partita IVA e gliela mando subito.",
                (ToolUse("look_up_order", {"order_id": "A-20233"}, {"status": "delivered", "delivered_on": "2026-11-18", "total_eur": 212.4}),),
            ),
            Turn(
                "Rossi Outdoor Srl, IT01234567890. Grazie!",
                "account", ("invoice-vat",),
                "Perfetto, la fattura corretta per Rossi Outdoor Srl sarà nei suoi documenti (Ordini > Documenti) entro domani mattina.",
                (ToolUse("open_ticket", {"team": "billing", "summary": "Reissue invoice A-20233 for Rossi Outdoor Srl, IT01234567890"}, {"ticket": "T-3308"}),),
                feedback="up",
            ),
        ),
        model="claude-sonnet-4-5",
    ),
    Conversation(
        "noah.jensen", "chat", "en", "guest",
        (
            Turn(
                "I moved last week. Can you change the delivery address of A-20466?",
                "order_status", ("address-change",),
                "Order A-20466 is still being packed, so yes. For your safety I can't change it from the chat: open the order, choose \"Change address\" and confirm with the code we text you. It stays possible until about 16:00 today.",
                (ToolUse("look_up_order", {"order_id": "A-20466"}, {"status": "packing", "ships_at": "16:00"}),),
                trouble="overloaded",
            ),
            Turn(
                "Worked, thanks. And will I still get it this week?",
                "order_status", ("shipping-times",),
                "It leaves us today with standard delivery, which takes 2 to 4 working days, so most likely on Thursday or Friday.",
            ),
        ),
    ),
    Conversation(
        "mei.tanaka", "email", "en", "member",
        (
            Turn(
                "My headlamp died in the rain on its first night out. The box says IPX4. Is that a warranty case?",
                "return", ("warranty", "returns-30-days"),
                "Two things decide this. IPX4 means splash-proof from every side, so rain alone should not kill it, and our page excludes water damage only for products that were submerged without an IPX7 rating. I therefore read this as a defect, not as water damage: you have two years, and I have opened a return so that the workshop can confirm it.",
                (
                    ToolUse("look_up_order", {"order_id": "A-18804"}, {"status": "delivered", "items": [{"name": "Lykt 300 headlamp", "rating": "IPX4"}]}),
                    ToolUse("start_return", {"order_id": "A-18804", "item": "Lykt 300 headlamp", "reason": "defect: failed in rain"}, {"label_id": "R-5547", "sent_to": "customer"}),
                ),
                feedback="down", comment="The help page says water damage is only covered from IPX7, now I don't know what to believe.",
            ),
        ),
        tags=("warranty", "reasoning"), model="o4-mini",
    ),
    Conversation(
        "david.cohen", "chat", "en", "member",
        (
            Turn(
                "How many loyalty points do I have, and what are they worth?",
                "account", ("loyalty-points",),
                "Points are credited 14 days after delivery at one per euro and are worth 5 cents each. I can't see balances from here; yours is under Account > Points.",
                feedback="down", comment="I could have read that myself.",
            ),
            Turn(
                "Then please connect me to somebody who can see it.",
                "complaint", ("loyalty-points",),
                "Of course. I have passed your question to our membership team as T-3311; they answer within four hours.",
                (ToolUse("open_ticket", {"team": "membership", "summary": "Customer asks for the current points balance"}, {"ticket": "T-3311"}),),
            ),
        ),
    ),
    Conversation(
        "priya.nair", "chat", "en", "guest",
        (
            Turn(
                "Do you ship to Norway, and what does express cost?",
                "product", ("shipping-times",),
                "We do. Standard delivery takes 2 to 4 working days and is free from 50 EUR; express arrives on the next working day for 9.90 EUR if you order before 14:00.",
            ),
            Turn(
                "And if I order on a Friday afternoon?",
                "product", ("shipping-times",),
                "After 14:00 on a Friday an express order leaves on Monday and arrives on Tuesday.",
                feedback="up",
            ),
        ),
    ),
    Conversation(
        "oliver.brandt", "chat", "de", "member",
        (
            Turn(
                "Der Rucksack aus A-20391 ist mir zu groß. Kann ich ihn umtauschen?",
                "return", ("returns-30-days",),
                "Gern. Für Bestellung A-20391 habe ich ein kostenloses Rücksendeetikett erstellt und an Sie geschickt. Den Tarn in 35 Litern haben wir vorrätig; bestellen Sie ihn einfach neu, den Tarn 45 erstatten wir nach Eingang.",
                (
                    ToolUse("start_return", {"order_id": "A-20391", "item": "Tarn 45 backpack", "reason": "too large"}, {"label_id": "R-5550", "sent_to": "customer"}),
                    ToolUse("check_stock", {"sku": "TARN-35", "size": "one size"}, {"in_stock": 41, "warehouse": "Malmö"}),
                ),
                feedback="up",
            ),
        ),
        model="claude-sonnet-4-5",
    ),
    Conversation(
        "grace.mwangi", "chat", "en", "guest",
        (
            Turn(
                "I was charged twice for A-20420!",
                "complaint", ("refund-timing",),
                "",
                trouble="down",
            ),
            Turn(
                "Hello? I was charged twice for A-20420, can somebody look at this?",
                "complaint", ("refund-timing",),
                "I'm sorry you had to ask twice. For A-20420 I see one order and two payments of 48.00 EUR, so one of them is ours to give back: it is refunded now and will be on your card within 3 to 5 working days.",
                (
                    ToolUse("look_up_order", {"order_id": "A-20420"}, {"status": "paid", "payments_eur": [48.0, 48.0]}),
                    ToolUse("issue_refund", {"order_id": "A-20420", "amount_eur": "48.00"}, {"refund_id": "F-8815", "state": "accepted"}),
                ),
                feedback="up",
            ),
        ),
    ),
    Conversation(
        "tom.fischer", "email", "en", "guest",
        (
            Turn(
                "Please delete my account and everything you know about me.",
                "account", ("account-deletion",),
                "You can do that yourself at once under Settings > Privacy > Delete account. We erase everything within 30 days except invoices, which the law makes us keep for ten years.",
            ),
        ),
        tags=("privacy",),
    ),
)  # fmt: skip
