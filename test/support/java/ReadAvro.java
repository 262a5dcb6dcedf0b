import com.fasterxml.jackson.databind.ObjectMapper;
import io.apicurio.registry.serde.avro.AvroKafkaDeserializer;
import java.io.PrintStream;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Base64;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.apache.avro.Conversions;
import org.apache.avro.LogicalTypes;
import org.apache.avro.Schema;
import org.apache.avro.generic.GenericData;
import org.apache.avro.generic.GenericRecord;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;

/**
 * Prints what a topic of one partition holds, a line of JSON for each record: {"key": .., "value": .., "keySchema":
 * full name, "valueSchema": full name}. Arguments are brokers, topic, and settings of the deserialiser (key=value).
 * Decimals and longs are text, bytes are base64.
 */
public final class ReadAvro {
  public static void main(String[] arguments) throws Exception {
    ObjectMapper json = new ObjectMapper();
    PrintStream out = new PrintStream(System.out, true, StandardCharsets.UTF_8);
    Map<String, Object> settings = new LinkedHashMap<>();
    settings.put("bootstrap.servers", arguments[0]);
    settings.put("isolation.level", "read_committed");
    settings.put("key.deserializer", AvroKafkaDeserializer.class.getName());
    settings.put("value.deserializer", AvroKafkaDeserializer.class.getName());
    for (String setting : List.of(arguments).subList(2, arguments.length)) {
      int equals = setting.indexOf('=');
      settings.put(setting.substring(0, equals), setting.substring(equals + 1));
    }
    TopicPartition partition = new TopicPartition(arguments[1], 0);
    try (KafkaConsumer<Object, Object> consumer = new KafkaConsumer<>(settings)) {
      consumer.assign(List.of(partition));
      consumer.seekToBeginning(List.of(partition));
      long end = consumer.endOffsets(List.of(partition)).get(partition);
      while (consumer.position(partition) < end) {
        for (ConsumerRecord<Object, Object> record : consumer.poll(Duration.ofSeconds(1))) {
          Map<String, Object> line = new LinkedHashMap<>();
          line.put("key", plain(record.key()));
          line.put("value", plain(record.value()));
          line.put("keySchema", nameOf(record.key()));
          line.put("valueSchema", nameOf(record.value()));
          out.println(json.writeValueAsString(line));
        }
      }
    }
  }

  private static String nameOf(Object datum) {
    return datum instanceof GenericRecord ? ((GenericRecord) datum).getSchema().getFullName() : null;
  }

  private static Object plain(Object datum) {
    return datum instanceof GenericRecord ? plain(((GenericRecord) datum).getSchema(), datum) : datum;
  }

  private static Object plain(Schema schema, Object datum) {
    switch (schema.getType()) {
      case UNION:
        return plain(schema.getTypes().get(GenericData.get().resolveUnion(schema, datum)), datum);
      case RECORD:
        Map<String, Object> fields = new LinkedHashMap<>();
        for (Schema.Field field : schema.getFields())
          fields.put(field.name(), plain(field.schema(), ((GenericRecord) datum).get(field.pos())));
        return fields;
      case ARRAY:
        List<Object> items = new ArrayList<>();
        for (Object item : (Collection<?>) datum) items.add(plain(schema.getElementType(), item));
        return items;
      case BYTES:
        if (schema.getLogicalType() instanceof LogicalTypes.Decimal)
          return new Conversions.DecimalConversion()
              .fromBytes((ByteBuffer) datum, schema, schema.getLogicalType())
              .toPlainString();
        byte[] bytes = new byte[((ByteBuffer) datum).remaining()];
        ((ByteBuffer) datum).duplicate().get(bytes);
        return Base64.getEncoder().encodeToString(bytes);
      case NULL:
      case BOOLEAN:
      case INT:
      case FLOAT:
      case DOUBLE:
        return datum;
      default:
        return datum.toString();
    }
  }
}
