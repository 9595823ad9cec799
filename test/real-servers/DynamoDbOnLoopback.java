// DynamoDB Local has no option for where it listens and takes every interface: this gives it 127.0.0.1 before it starts.
import com.amazonaws.services.dynamodbv2.local.main.ServerRunner;
import com.amazonaws.services.dynamodbv2.local.server.DynamoDBProxyServer;
import java.lang.reflect.Field;
import org.eclipse.jetty.server.Server;
import org.eclipse.jetty.server.ServerConnector;

final class DynamoDbOnLoopback {
    public static void main(String[] options) throws Exception {
        DynamoDBProxyServer proxy = ServerRunner.createServerFromCommandLineArgs(options);
        boolean bound = false;
        for (Field field : DynamoDBProxyServer.class.getDeclaredFields()) {
            if (field.getType() != Server.class) continue;
            field.setAccessible(true);
            for (var connector : ((Server) field.get(proxy)).getConnectors()) {
                ((ServerConnector) connector).setHost("127.0.0.1");
                bound = true;
            }
        }
        if (!bound) throw new IllegalStateException("no connector to bind: another version of DynamoDB Local?");
        proxy.start();
        Thread.currentThread().join();
    }
}
