import java.io.ByteArrayOutputStream;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HexFormat;
import org.apache.avro.Schema;
import org.apache.avro.SchemaNormalization;
import org.apache.avro.generic.GenericData;
import org.apache.avro.generic.GenericDatumWriter;
import org.apache.avro.generic.GenericRecord;
import org.apache.avro.io.BinaryEncoder;
import org.apache.avro.io.EncoderFactory;
import org.apache.avro.message.BinaryMessageDecoder;
import org.apache.avro.message.BinaryMessageEncoder;

/**
 * What Avro's own library says of schema files and stored values. Arguments: pairs of a schema file and a file of hex.
 * Prints for each pair the fingerprint, the value decoded and encoded again, and the same with arrays in sized blocks.
 */
public class AvroCheck {
    public static void main(String[] args) throws Exception {
        for (int i = 0; i < args.length; i += 2) {
            Schema schema = new Schema.Parser().parse(Path.of(args[i]).toFile());
            byte[] value = HexFormat.of().parseHex(Files.readString(Path.of(args[i + 1])).replaceAll("\\s", ""));
            GenericRecord datum = new BinaryMessageDecoder<GenericRecord>(GenericData.get(), schema).decode(value);
            ByteBuffer again = new BinaryMessageEncoder<GenericRecord>(GenericData.get(), schema).encode(datum);
            byte[] encoded = new byte[again.remaining()];
            again.get(encoded);
            System.out.printf(
                "%s %016x %s %s%n",
                schema.getName(),
                SchemaNormalization.parsingFingerprint64(schema),
                HexFormat.of().formatHex(encoded),
                HexFormat.of().formatHex(inBlocks(schema, datum, encoded)));
        }
    }

    private static byte[] inBlocks(Schema schema, GenericRecord datum, byte[] encoded) throws Exception {
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        out.write(encoded, 0, 10);
        BinaryEncoder encoder = new EncoderFactory().configureBlockSize(64).blockingBinaryEncoder(out, null);
        new GenericDatumWriter<GenericRecord>(schema).write(datum, encoder);
        encoder.flush();
        return out.toByteArray();
    }
}
