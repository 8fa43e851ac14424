"""Lay out the legacy tables as the system before this service had them.

Why: a fresh database takes the same way as one that has been in use for years. Names and columns stay, so
that programs that read them go on. All times are UTC.
Previous release: it is this schema.
Locks: none that anybody could wait for; a table is made only where it is missing.
"""

from pathlib import Path
from typing import Any

from alembic.util import load_python_file

revision = "0001"
down_revision = None

changes: Any = load_python_file(Path(__file__).parents[1], "changes.py")

_RECEIVER = """
    receiver_name VARCHAR(64) NULL,
    receiver_phone VARCHAR(32) NULL,
    receiver_province VARCHAR(64) NULL,
    receiver_city VARCHAR(64) NULL,
    receiver_district VARCHAR(64) NULL,
    receiver_address VARCHAR(256) NULL,
    receiver_postal_code VARCHAR(16) NULL,
"""
_NAME = "CHARACTER SET utf8mb4 COLLATE utf8mb4_bin"

TABLES = {
    "tigu_prepare_goods": f"""
    id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT,
    prepare_sn VARCHAR(64) {_NAME} NOT NULL,
    order_ids TEXT NOT NULL,
    delivery_type INT NOT NULL DEFAULT 0,
    shipping_type INT NOT NULL DEFAULT 0,
    prepare_status INT NULL,
    type INT NOT NULL DEFAULT 0,
    shop_id BIGINT UNSIGNED NOT NULL,
    {_RECEIVER}
    total_value NUMERIC(15,2) NULL,
    settlement_status INT NOT NULL DEFAULT 0,
    warehouse_id BIGINT UNSIGNED NULL,
    driver_id BIGINT UNSIGNED NULL,
    create_time DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP,
    update_time DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP,
    actual_arrival_time DATETIME NULL,
    PRIMARY KEY (id),
    UNIQUE KEY uq_prepare_sn (prepare_sn)
""",
    "tigu_prepare_goods_item": """
    id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT,
    prepare_id BIGINT UNSIGNED NOT NULL,
    order_item_id BIGINT UNSIGNED NOT NULL,
    product_id BIGINT UNSIGNED NOT NULL,
    sku_id BIGINT UNSIGNED NOT NULL,
    quantity INT NOT NULL,
    create_time DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP,
    PRIMARY KEY (id),
    CONSTRAINT fk_prepare_goods_item_prepare FOREIGN KEY (prepare_id) REFERENCES tigu_prepare_goods (id)
""",
    "tigu_order": f"""
    id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT,
    order_sn VARCHAR(64) {_NAME} NOT NULL,
    user_id BIGINT UNSIGNED NOT NULL,
    shop_id BIGINT UNSIGNED NOT NULL,
    total_amount NUMERIC(15,2) NULL,
    shipping_type INT NOT NULL DEFAULT 0,
    shipping_status INT NOT NULL DEFAULT 0,
    order_status INT NOT NULL DEFAULT 0,
    pay_status INT NOT NULL DEFAULT 0,
    {_RECEIVER}
    warehouse_id BIGINT UNSIGNED NULL,
    driver_id BIGINT UNSIGNED NULL,
    shipping_time DATETIME NULL,
    driver_receive_time DATETIME NULL,
    arrive_warehouse_time DATETIME NULL,
    warehouse_shipping_time DATETIME NULL,
    finish_time DATETIME NULL,
    create_time DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP,
    update_time DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP,
    PRIMARY KEY (id),
    UNIQUE KEY uq_order_sn (order_sn)
""",
    "tigu_order_item": """
    id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT,
    order_id BIGINT UNSIGNED NOT NULL,
    product_id BIGINT UNSIGNED NOT NULL,
    sku_id BIGINT UNSIGNED NOT NULL,
    product_name JSON NULL,
    sku_code VARCHAR(50) NULL,
    quantity INT NOT NULL,
    price NUMERIC(15,2) NULL,
    PRIMARY KEY (id),
    KEY idx_order_id (order_id)
""",
    "tigu_order_action": """
    id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT,
    order_id BIGINT UNSIGNED NOT NULL,
    order_status INT NULL,
    shipping_status INT NULL,
    shipping_type INT NULL,
    action_type INT NOT NULL,
    logistics_voucher_file VARCHAR(2000) NULL,
    create_by VARCHAR(64) NULL,
    create_time DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP,
    remark VARCHAR(5000) NULL,
    PRIMARY KEY (id),
    KEY idx_order_id (order_id)
""",
    "tigu_uploaded_files": """
    id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT,
    file_name VARCHAR(255) NOT NULL,
    file_url VARCHAR(500) NOT NULL,
    file_type VARCHAR(200) NULL,
    file_size BIGINT NULL,
    biz_type VARCHAR(200) NULL,
    biz_id BIGINT UNSIGNED NULL,
    uploader_id BIGINT UNSIGNED NULL,
    create_time DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP,
    PRIMARY KEY (id)
""",
    "tigu_warehouse": f"""
    id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT,
    code VARCHAR(32) {_NAME} NOT NULL,
    name VARCHAR(100) NOT NULL,
    province VARCHAR(64) NULL,
    city VARCHAR(64) NULL,
    district VARCHAR(64) NULL,
    address VARCHAR(256) NULL,
    PRIMARY KEY (id),
    UNIQUE KEY uq_warehouse_code (code)
""",
    "tigu_driver": """
    id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT,
    name VARCHAR(100) NOT NULL,
    phone VARCHAR(20) NOT NULL,
    status TINYINT NOT NULL DEFAULT 1,
    rating NUMERIC(3,2) NULL,
    total_deliveries INT NOT NULL DEFAULT 0,
    PRIMARY KEY (id),
    UNIQUE KEY uq_driver_phone (phone)
""",
}


def upgrade() -> None:
    """Makes the missing tables, parents first."""
    for table, definition in TABLES.items():
        changes.create_table(table, definition)


def downgrade() -> None:
    """Drops the tables with everything in them, children first."""
    for table in reversed(TABLES):
        changes.drop_table(table)
