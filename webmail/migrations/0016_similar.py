from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("webmail", "0015_server_search")]

    operations = [migrations.AddField("askedfolder", "similar", models.BooleanField(default=False))]
