"""What a holdfast service is built from: transactions, calls, errors, migrations, serving. It knows no service."""
