"""What there is on the simulated download site: pages, products, and where its visitors come from.

Belongs here: names, prices and how often each is chosen. Does not belong here: any draw (matomo_web).
"""

from __future__ import annotations

from matokit_pipelines.simulator.matomo_web_visits import CAMPAIGN, DIRECT, SEARCH, SOCIAL, WEBSITE, Came

SITE_URL = "https://get.example.org"
NEWS = "/news/release-3"
THANKS = "/newsletter/thanks"
# Path, title, weight as first page, weight later in a visit.
PAGES: tuple[tuple[str, str, float, float], ...] = (
    ("/", "Home", 24, 10),
    ("/download", "Download", 14, 16),
    ("/download/macos", "Download for macOS", 5, 12),
    ("/download/windows", "Download for Windows", 6, 13),
    ("/docs/python", "Installing Python", 12, 10),
    ("/docs/vscode", "Installing VS Code", 8, 7),
    ("/docs/search?q=latex", "Search in the guide", 4, 5),
    ("/shop/python-book", "Python book", 5, 6),
    ("/shop/mug", "Mug – blå", 4, 5),
    ("/shop", "Shop", 3, 6),
    ("/newsletter", "Newsletter", 1, 5),
    ("/contact", "Contact", 1, 4),
    ("/about", "About us", 2, 2),
)
# From the day of the release on: its news draws readers in, and the guide loses some.
RELEASED: dict[str, tuple[float, float]] = {NEWS: (40, 9), "/docs/python": (6, 5), "/download/windows": (9, 22)}
ERROR_SHARE = 0.02
PRODUCTS: tuple[tuple[str, float], ...] = (("Python book", 26.9), ("Mug – blå", 12.45), ("T-shirt", 19.95))
TAX, SHIPPING, DISCOUNT = 0.25, 4.9, 5.0
DEVICES: tuple[tuple[str, float], ...] = (("Desktop", 0.62), ("Smartphone", 0.29), ("Tablet", 0.09))
CAME: tuple[tuple[Came, float], ...] = (
    (Came(DIRECT), 0.30),
    (Came(SEARCH, "Google", None, "https://www.google.com/"), 0.22),
    (Came(SEARCH, "Google", "install python mac", "https://www.google.com/"), 0.05),
    (Came(SEARCH, "Bing", "python download", "https://www.bing.com/search?q=python+download"), 0.06),
    (Came(SEARCH, "DuckDuckGo", None, "https://duckduckgo.com/"), 0.05),
    (Came(WEBSITE, "news.example.net", None, "https://news.example.net/today"), 0.06),
    (Came(WEBSITE, "partner.example.com", None, "https://partner.example.com/links"), 0.04),
    (Came(WEBSITE, "forum.example.org", None, "https://forum.example.org/t/42"), 0.03),
    (Came(CAMPAIGN, "autumn-sale", "mug"), 0.04),
    (Came(CAMPAIGN, "newsletter-nov"), 0.04),
    (Came(CAMPAIGN, "efterår 2026"), 0.03),
    # A name of digits alone: reports send it as a JSON number.
    (Came(CAMPAIGN, "2026"), 0.01),
    (Came(SOCIAL, "Twitter", None, "https://t.co/abc"), 0.04),
    (Came(SOCIAL, "LinkedIn", None, "https://www.linkedin.com/feed"), 0.03),
)
SOCIAL_HOSTS = {"Twitter": "twitter.com", "LinkedIn": "linkedin.com"}
# Sundays are quiet, nights quieter; index 0 is Monday and midnight, site-local.
WEEKDAYS = (1.15, 1.2, 1.15, 1.1, 0.95, 0.65, 0.8)
HOURS = (3, 2, 1, 1, 1, 2, 5, 12, 25, 34, 38, 36, 32, 36, 38, 36, 32, 28, 26, 28, 30, 26, 16, 8)
