"""Acme's product service: a small web service with an OpenAPI document, as a company may have one.

    ACME_TOKEN=secret python product_service.py --port 8600

Every call carries `Authorization: Bearer <ACME_TOKEN>`; the document at /openapi.json is open.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import secrets
import sys
import threading
from pathlib import Path
from typing import Annotated, Any

import uvicorn
from fastapi import Depends, FastAPI, HTTPException, Query
from fastapi import Path as InPath
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BaseModel, Field

TOKEN = "ACME_TOKEN"  # noqa: S105  # the name of the variable, not the token
PRODUCTS = Path(__file__).parent / "products.json"
WORD = re.compile(r"\w+")
SKU = r"^AC-[0-9]{3}$"
BEARER = HTTPBearer(auto_error=False, description="the token of the shop")
IN_STOCK = 5  # of each product; what is reserved is gone until the service starts again


class Product(BaseModel):
    """A product as the shop shows it."""

    sku: str
    name: str
    kind: str
    colours: list[str]
    price_eur: float = Field(description="with tax, in euros")
    sizes: list[str]
    materials: str
    description: str
    care: str


class Found(BaseModel):
    """Products that fit a search, best first."""

    products: list[Product]


class Order(BaseModel):
    """What to reserve."""

    quantity: int = Field(1, ge=1, le=IN_STOCK, description="how many")


class Reservation(BaseModel):
    """What is put aside."""

    sku: str
    quantity: int
    left: int = Field(description="how many are left in stock")


class Shop:
    """The products and what is left of each."""

    def __init__(self, products: list[Product]) -> None:
        self._products = {product.sku: product for product in products}
        self._left = dict.fromkeys(self._products, IN_STOCK)
        self._lock = threading.Lock()

    def find(self, query: str, limit: int) -> list[Product]:
        """Give the products that share the most words with a query; none where no word fits."""
        asked = _words(query)
        scored = [(len(asked & _words(_said(product))), product) for product in self._products.values()]
        fitting = [pair for pair in scored if pair[0]]
        return [product for _, product in sorted(fitting, key=lambda pair: -pair[0])[:limit]]

    def get(self, sku: str) -> Product:
        """Give a product.

        Raises:
            HTTPException: there is none (404).
        """
        if sku not in self._products:
            raise HTTPException(404, f"there is no product {sku!r}; find_products gives the numbers")
        return self._products[sku]

    def reserve(self, sku: str, quantity: int) -> Reservation:
        """Put products aside.

        Raises:
            HTTPException: there is no such product (404), or too few are left (409).
        """
        self.get(sku)
        with self._lock:
            if quantity > self._left[sku]:
                raise HTTPException(409, f"only {self._left[sku]} of {sku} are left")
            self._left[sku] -= quantity
            return Reservation(sku=sku, quantity=quantity, left=self._left[sku])


def make_app(token: str) -> FastAPI:
    """Give the service; every call needs the token."""
    shop = Shop([Product.model_validate(row) for row in json.loads(PRODUCTS.read_text())])

    def checked(given: Annotated[HTTPAuthorizationCredentials | None, Depends(BEARER)]) -> None:
        if given is None or not secrets.compare_digest(given.credentials.encode(), token.encode()):
            raise HTTPException(401, "the token is missing or wrong", {"WWW-Authenticate": "Bearer"})

    app = FastAPI(title="Acme products", version="1", dependencies=[Depends(checked)])

    @app.get(
        "/products",
        operation_id="find_products",
        summary="Find Acme's products by words: names, colours, materials.",
        openapi_extra=_examples(
            ("look up the blue backpack", {"query": "blue backpack", "limit": 1}),
            ("write a product text for the orange tent", {"query": "orange tent", "limit": 1}),
        ),
    )
    def find_products(
        query: Annotated[str, Query(min_length=1, max_length=200, description="words: 'blue backpack'")],
        limit: Annotated[int, Query(ge=1, le=20, description="the most products")] = 3,
    ) -> Found:
        return Found(products=shop.find(query, limit))

    @app.get(
        "/products/{sku}",
        operation_id="get_product",
        summary="Give one product by its number.",
        openapi_extra=_examples(("what is AC-201?", {"sku": "AC-201"})),
    )
    def get_product(sku: Annotated[str, InPath(pattern=SKU, description="its number: 'AC-101'")]) -> Product:
        return shop.get(sku)

    @app.post(
        "/products/{sku}/reservations",
        status_code=201,
        operation_id="reserve_product",
        summary="Put some of a product aside for a customer.",
        openapi_extra=_examples(("reserve two of AC-401", {"sku": "AC-401", "quantity": 2})),
    )
    def reserve_product(
        sku: Annotated[str, InPath(pattern=SKU, description="its number: 'AC-101'")], order: Order
    ) -> Reservation:
        return shop.reserve(sku, order.quantity)

    return app


def _examples(*examples: tuple[str, dict[str, object]]) -> dict[str, Any]:
    """Give examples of requests and their arguments, where a studio looks for them."""
    return {"x-atelier-examples": [{"say": say, "args": args} for say, args in examples]}


def _words(text: str) -> set[str]:
    """Give the words of a text, without the s of the plural."""
    return {word.removesuffix("s") for word in WORD.findall(text.lower())}


def _said(product: Product) -> str:
    return " ".join([product.sku, product.name, product.kind, *product.colours, product.materials])


def main() -> None:
    """Read the command line and serve."""
    parser = argparse.ArgumentParser(description="Acme's product service.")
    parser.add_argument("--port", type=int, default=8600)
    args = parser.parse_args()
    if not os.environ.get(TOKEN):
        sys.exit(f"set {TOKEN} to the token that callers must send")
    uvicorn.run(make_app(os.environ[TOKEN]), host="127.0.0.1", port=args.port, log_level="warning")


if __name__ == "__main__":
    main()
