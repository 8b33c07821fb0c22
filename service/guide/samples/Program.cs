// Program.cs: dotnet new console -o signing && cp Program.cs signing && dotnet run --project signing
using System;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;

public static class Program
{
    public static void Main()
    {
        Console.WriteLine(SignCode(new { id = "crm-42", email = "ada@example.com", name = "Ada" }));
    }

    static string SignCode(object user)
    {
        long now = DateTimeOffset.UtcNow.ToUnixTimeSeconds();
        var header = new { alg = "HS256", typ = "JWT" };
        var claims = new { user, iat = now, exp = now + 300, jti = Guid.NewGuid().ToString() };
        string signed = Base64Url(JsonSerializer.SerializeToUtf8Bytes(header)) + "." + Base64Url(JsonSerializer.SerializeToUtf8Bytes(claims));
        byte[] key = Encoding.UTF8.GetBytes(Environment.GetEnvironmentVariable("DOORCODE_JWT_SECRET"));
        using (var hmac = new HMACSHA256(key))
        {
            return signed + "." + Base64Url(hmac.ComputeHash(Encoding.UTF8.GetBytes(signed)));
        }
    }

    static string Base64Url(byte[] bytes)
    {
        return Convert.ToBase64String(bytes).TrimEnd('=').Replace('+', '-').Replace('/', '_');
    }
}
