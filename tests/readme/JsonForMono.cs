// Mono has no System.Text.Json: this is the one call of it that the guide's program makes, by the JSON writer that Mono has.
namespace System.Text.Json
{
    public static class JsonSerializer
    {
        public static byte[] SerializeToUtf8Bytes(object value)
        {
            return Encoding.UTF8.GetBytes(new System.Web.Script.Serialization.JavaScriptSerializer().Serialize(value));
        }
    }
}
