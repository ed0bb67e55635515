import time

from tests.databases import running_cluster

with running_cluster() as c:
    print(c.url, flush=True); open('/tmp/pgurl','w').write(c.url)
    time.sleep(2400)
