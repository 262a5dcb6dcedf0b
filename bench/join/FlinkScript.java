import java.nio.file.Files;
import java.nio.file.Path;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.table.api.EnvironmentSettings;
import org.apache.flink.table.api.TableEnvironment;
import org.apache.flink.table.api.TableResult;

/**
 * Runs a script of Flink SQL on a cluster in this process: arguments are the script's file, whose statements end with a
 * semicolon and a line break and of which the last is the job, and settings of Flink (key=value).
 */
public final class FlinkScript {
  public static void main(String[] args) throws Exception {
    Configuration settings = new Configuration();
    for (int i = 1; i < args.length; i++) {
      int equals = args[i].indexOf('=');
      settings.setString(args[i].substring(0, equals), args[i].substring(equals + 1));
    }
    TableEnvironment tables =
        TableEnvironment.create(
            EnvironmentSettings.newInstance().inStreamingMode().withConfiguration(settings).build());
    TableResult last = null;
    for (String statement : Files.readString(Path.of(args[0])).split(";\n"))
      if (!statement.isBlank()) last = tables.executeSql(statement);
    last.await();
  }
}
