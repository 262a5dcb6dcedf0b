import org.codelibs.elasticsearch.runner.ElasticsearchClusterRunner;

/** Runs one node of Elasticsearch for elasticsearch.ts: arguments are a directory for its files and a port. */
public final class SearchServer {
  public static void main(String[] arguments) throws InterruptedException {
    ElasticsearchClusterRunner runner = new ElasticsearchClusterRunner();
    runner.setMaxHttpPort(-1); // the port that was asked for, and no other
    runner.onBuild(
        (number, settings) -> {
          settings.put("http.port", arguments[1]);
          settings.put("transport.port", "0");
          settings.put("discovery.type", "single-node");
          settings.put("cluster.routing.allocation.disk.threshold_enabled", "false");
        });
    runner.build(
        ElasticsearchClusterRunner.newConfigs().basePath(arguments[0]).numOfNode(1).clusterName("test"));
    System.out.println("Elasticsearch is up");
    Thread.currentThread().join(); // no thread of its own keeps the process alive
  }
}
