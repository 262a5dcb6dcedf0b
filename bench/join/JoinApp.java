import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.util.Properties;
import java.util.concurrent.CountDownLatch;
import org.apache.kafka.common.serialization.Deserializer;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.serialization.Serializer;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.Joined;
import org.apache.kafka.streams.kstream.KStream;
import org.apache.kafka.streams.kstream.KTable;
import org.apache.kafka.streams.kstream.Produced;

/** Ratings left-joined to customers, as a Kafka Streams application does it: arguments broker, name, guarantee, rekey, ratings, customers, output. */
public final class JoinApp {
  private static final ObjectMapper JSON = new ObjectMapper();

  private static final class JsonSerde implements Serde<JsonNode> {
    @Override
    public Serializer<JsonNode> serializer() {
      return (topic, node) -> {
        try {
          return node == null ? null : JSON.writeValueAsBytes(node);
        } catch (Exception error) {
          throw new IllegalStateException(error);
        }
      };
    }

    @Override
    public Deserializer<JsonNode> deserializer() {
      return (topic, bytes) -> {
        try {
          return bytes == null ? null : JSON.readTree(bytes);
        } catch (Exception error) {
          throw new IllegalStateException(error);
        }
      };
    }
  }

  public static void main(String[] args) throws InterruptedException {
    Properties settings = new Properties();
    settings.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, args[0]);
    settings.put(StreamsConfig.APPLICATION_ID_CONFIG, args[1]);
    settings.put(StreamsConfig.PROCESSING_GUARANTEE_CONFIG, args[2]);
    settings.put(StreamsConfig.STATE_DIR_CONFIG, "state");
    settings.put("auto.offset.reset", "earliest");
    settings.put(StreamsConfig.producerPrefix("compression.type"), "lz4");
    Serde<JsonNode> json = new JsonSerde();
    Serde<String> text = Serdes.String();
    StreamsBuilder builder = new StreamsBuilder();
    KTable<String, JsonNode> customers = builder.table(args[5], Consumed.with(text, json));
    KStream<String, JsonNode> ratings = builder.stream(args[4], Consumed.with(text, json));
    if (args[3].equals("rekey")) ratings = ratings.selectKey((key, rating) -> rating.get("user_id").asText());
    ratings
        .<JsonNode, JsonNode>leftJoin(
            customers,
            (rating, customer) -> {
              ObjectNode joined = JSON.createObjectNode();
              joined.set("rating_id", rating.get("rating_id"));
              joined.set("stars", rating.get("stars"));
              joined.set("name", customer == null ? null : customer.get("name"));
              joined.set("club", customer == null ? null : customer.get("club"));
              return (JsonNode) joined;
            },
            Joined.with(text, json, json))
        .to(args[6], Produced.with(text, json));
    KafkaStreams streams = new KafkaStreams(builder.build(), settings);
    CountDownLatch ended = new CountDownLatch(1);
    Runtime.getRuntime()
        .addShutdownHook(
            new Thread(
                () -> {
                  streams.close();
                  ended.countDown();
                }));
    streams.start();
    ended.await();
  }
}
